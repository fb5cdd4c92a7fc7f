"""Scores: how related a query (the decoder's state) is to each key (an encoder state).

A score is a function of the source that returns a function of the query: what stands before its `return` is
computed once a sentence, what is returned runs once a target step. `param(name, init, shape)` gives a learned array
and is called before the `return` only. Keys are [b s k], a query is [b q], the logits are [b s].
"""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from attn_research.registry import Registry

# attends: has weights at all; content: reads what the keys say, not only how many there are; positional: reads where
# they stand; remembers: reads earlier steps, so steps can't run all at once; random: draws from history.key in
# training; exact_gradient: False where what flows back is an estimate; limit: the hyperparameter that bounds the
# source's length.
scores = Registry(
    "score",
    attends=True,
    content=True,
    positional=False,
    remembers=False,
    random=False,
    exact_gradient=True,
    limit=None,
)

Param = Callable[..., Array]
Keys = Float[Array, "b s k"]
Score = Callable[..., Array]

weight = nn.initializers.glorot_uniform()


def _same_size(score: str, keys: Keys, query_size: int) -> None:
    if keys.shape[-1] != query_size:
        raise ValueError(
            f"score {score!r} needs query and key of one size, but the query has {query_size} and the key "
            f"{keys.shape[-1]}; set model.attention.keys={query_size} or choose general or concat"
        )


@scores.register
def dot(param: Param, keys: Keys, query_size: int) -> Score:
    """k_j . q   (Luong et al. 2015, eq. 8, dot).

    gs2s and ESPnet use the name for a dot product of projected query and key.
    """
    _same_size("dot", keys, query_size)
    return lambda query, history: jnp.einsum("bsk,bk->bs", keys, query)


@scores.register
def scaled_dot(param: Param, keys: Keys, query_size: int) -> Score:
    """k_j . q / sqrt(k)   (Vaswani et al. 2017, eq. 1, without its projections)."""
    _same_size("scaled_dot", keys, query_size)
    scaled = keys / query_size**0.5
    return lambda query, history: jnp.einsum("bsk,bk->bs", scaled, query)


@scores.register
def general(param: Param, keys: Keys, query_size: int) -> Score:
    """k_j . W q   (Luong et al. 2015, eq. 8, general).

    Called "luong" in tensorflow/nmt and TensorFlow Addons, "bilinear" in Sockeye.
    """
    W = param("W", weight, (keys.shape[-1], query_size))
    projected = keys @ W
    return lambda query, history: jnp.einsum("bsq,bq->bs", projected, query)


@scores.register
def concat(param: Param, keys: Keys, query_size: int, units: int | None = None, bias: bool = False) -> Score:
    """v . tanh(W_q q + W_k k_j [+ b])   (Bahdanau et al. 2015, appendix A.1.2; Luong et al. 2015, eq. 8, concat).

    `units` is the size of v, the query's when None. Luong's own runs left the keys unprojected.
    """
    a = units or query_size
    W_q, W_k = param("W_q", weight, (query_size, a)), param("W_k", weight, (keys.shape[-1], a))
    v = param("v", nn.initializers.normal(a**-0.5), (a,))
    projected = keys @ W_k + (param("b", nn.initializers.zeros, (a,))[None, None] if bias else 0)
    # Recomputing the tanh in the backward pass is faster than keeping [t b s a] of it.
    return jax.checkpoint(lambda query, history: jnp.tanh(projected + (query @ W_q)[:, None]) @ v)


@scores.register(content=False, positional=True, limit="max_length")
def location(param: Param, keys: Keys, query_size: int, max_length: int = 64) -> Score:
    """(W q)_j, from the query alone   (Luong et al. 2015, eq. 9).

    `max_length` bounds the length of a source; padding may go beyond it.
    """
    W = param("W", weight, (query_size, max_length))
    s = keys.shape[1]
    columns = jnp.pad(W, ((0, 0), (0, max(s - max_length, 0))))[:, :s]
    return lambda query, history: query @ columns


@scores.register(attends=False, content=False)
def none(
    param: Param, last: Float[Array, "b h"], query_size: int, feed: Literal["state", "input"] = "state"
) -> Float[Array, "b f"]:
    """No attention: the decoder knows the encoder's last state alone   (None-State, None-Input of Britz et al. 2017).

    It starts from that state (`feed="state"`), and also reads it with each target symbol (`feed="input"`).
    Returns what enters each step's input; in place of the keys stands the last state.
    """
    return last if feed == "input" else last[:, :0]
