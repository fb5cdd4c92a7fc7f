"""Additive scores: v . tanh(...) of the sum of a projected query and a projected key."""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn

from attn_research.annotations import Size
from attn_research.attention.scores import Keys, Param, Score, reject_unused, scores, vector_init, weight_init

Bias = Literal[False, True, "both"]
LayerNorm = Literal["none", "sum", "each"]


@scores.register
def concat(
    param: Param, keys: Keys, query_size: int, units: Size | None = None, bias: Bias = False,
    project_keys: bool = True, layer_norm: LayerNorm = "none", normed: bool = False,
) -> Score:  # fmt: skip
    """v . tanh(W_q q + W_k k_j [+ b])   (Bahdanau et al. 2015, appendix A.1.2; Luong et al. 2015, eq. 8, concat).

    `units` is the size of v; None is the size of the query. Luong's own runs do not project the keys
    (`project_keys=False`); v then has the size of the keys. `bias` adds b to the keys (ESPnet, Nematus, Marian; OpenNMT
    adds it to the query, which gives the same sum). With "both" it also adds b_q to the query (gs2s, SpeechBrain).
    `layer_norm` normalizes the "sum" (Sockeye) or "each" side: LN(W_k k_j [+ b]) + LN(W_q q) (Nematus; Marian's second
    has no shift). `normed` replaces v by g v / |v| (TensorFlow Addons, with `bias`). ESPnet also adds a scalar, which a
    softmax cancels.
    """
    score = additive(param, keys, query_size, units, bias, project_keys, layer_norm, normed)
    return lambda query, history: score(query)


def additive(
    param: Param, keys: Keys, query_size: int, units: int | None, bias: Bias = False,
    project_keys: bool = True, layer_norm: LayerNorm = "none", normed: bool = False,
) -> Callable:  # fmt: skip
    """Returns (query [b q], *extra [b s a]) -> v . tanh(W_q q + W_k k_j + extra)."""
    if not project_keys:
        reject_unused("concat", "with project_keys=False", units=units is not None)
    a = (units or query_size) if project_keys else keys.shape[-1]
    W_q = param("W_q", weight_init, (query_size, a))
    projected = keys @ param("W_k", weight_init, (keys.shape[-1], a)) if project_keys else keys
    v = param("v", vector_init(a), (a,))
    projected = projected + (param("b", nn.initializers.zeros, (a,))[None, None] if bias else 0)
    b_q = param("b_q", nn.initializers.zeros, (a,))[None] if bias == "both" else 0
    norm_k, norm_q, norm_sum = _layer_norms(param, a, layer_norm)
    v = param("g", nn.initializers.constant(a**-0.5), ()) * v * jax.lax.rsqrt(v @ v) if normed else v
    projected = norm_k(projected)

    def score(query, *extra):
        total = sum(extra, projected + norm_q(query @ W_q + b_q)[:, None])
        return jnp.tanh(norm_sum(total)) @ v

    # Recomputing the tanh in the backward pass is faster than storing its [t b s a].
    return jax.checkpoint(score)


def _layer_norms(param: Param, units: int, layer_norm: LayerNorm) -> list[Callable]:
    """Returns the normalizations of the projected key, of the projected query and of their sum."""
    normalized = {"none": (), "sum": ("sum",), "each": ("k", "q")}[layer_norm]
    return [_layer_norm(param, name, units) if name in normalized else lambda x: x for name in ("k", "q", "sum")]


def _layer_norm(param: Param, name: str, units: int) -> Callable:
    """Returns x -> gain (x - mean) / sqrt(variance + 1e-5) + shift, over the units   (Ba et al. 2016)."""
    gain = param(f"gain_{name}", nn.initializers.ones, (units,))
    shift = param(f"shift_{name}", nn.initializers.zeros, (units,))

    def norm(x):
        x = x - x.mean(-1, keepdims=True)
        x = x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-5)
        return x * jnp.broadcast_to(gain, x.shape) + jnp.broadcast_to(shift, x.shape)

    return norm
