"""Scores: how related a query (the decoder's state) is to each key (an encoder state).

A score is a function of the source that returns a function of the query: what stands before its `return` is
computed once a sentence, what is returned runs once a target step. `param(name, init, shape)` gives a learned array
and is called before the `return` only. Keys are [b s k], a query is [b q], the logits are [b s].
Those here read the content alone, by products and distances; additive.py, positional.py, coverage.py and
location_aware.py hold the others.
"""

import math
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from attn_research.annotations import Factor, Size
from attn_research.errors import UserError
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

weight_init = nn.initializers.glorot_uniform()
EPSILON = 1e-6  # keeps the gradient of a norm finite where the vector is zero


def vector_init(size: int) -> Callable:
    """Initializes a vector so that its product with one of `size` units keeps their variance."""
    return nn.initializers.normal(size**-0.5)


def reject_unused(score: str, where: str, **options: bool) -> None:
    """Rejects options that have no effect."""
    for option in options:
        if options[option]:
            raise UserError(f"{option} of score {score!r} has no effect {where}")


def _require_same_size(score: str, keys: Keys, query_size: int) -> None:
    if keys.shape[-1] != query_size:
        raise UserError(
            f"score {score!r} needs query and key of one size, but the query has {query_size} and the key "
            f"{keys.shape[-1]}; set model.attention.keys={query_size} or choose dot(project=True), general or concat"
        )


def _inner_product(keys: Keys, project_query: Callable = lambda query: query) -> Score:
    """k_j . side(q)."""
    return lambda query, history: jnp.einsum("bsa,ba->bs", keys, project_query(query))


def _affine(param: Param, name: str, size: int, units: int, bias: bool = False) -> Callable:
    """x -> x W_name [+ b_name]."""
    W = param(f"W_{name}", weight_init, (size, units))
    b = param(f"b_{name}", nn.initializers.zeros, (units,)) if bias else None
    return lambda x: x @ W if b is None else x @ W + jnp.broadcast_to(b, (*x.shape[:-1], units))


def _project_both(
    param: Param, score: str, keys: Keys, query_size: int, project: bool, units: int | None, bias: bool = False
) -> tuple[Float[Array, "b s a"], Callable]:
    """W_k k_j [+ b_k], and q -> W_q q [+ b_q], of size `units`; both as they are without `project`."""
    if not project:
        reject_unused(score, "without project=True", units=units is not None, bias=bias)
        _require_same_size(score, keys, query_size)
        return keys, lambda query: query
    a = units or query_size
    project_query = _affine(param, "q", query_size, a, bias)
    return _affine(param, "k", keys.shape[-1], a, bias)(keys), project_query


def _scale(param: Param, keys: Keys, learned_scale: bool) -> Keys:
    """g k_j, g 1 at first."""
    return keys * param("g", nn.initializers.ones, ()) if learned_scale else keys


def _sharpness(param: Param, sharpness: float, learned: bool) -> float | Array:
    """A positive factor, kept so by learning its logarithm."""
    return jnp.exp(param("log_beta", nn.initializers.constant(math.log(sharpness)), ())) if learned else sharpness


@scores.register
def dot(
    param: Param, keys: Keys, query_size: int, project: bool = False, units: Size | None = None, bias: bool = False,
    activation: Literal["none", "tanh"] = "none",
) -> Score:  # fmt: skip
    """k_j . q   (Luong et al. 2015, eq. 8, dot).

    `project`: f(W_k k_j [+ b_k]) . f(W_q q [+ b_q]) of size `units`, the query's when None; f is `activation`.
    ESPnet's dot has projections, biases and tanh, gs2s's no tanh; a softmax then cancels b_k.
    """
    if not project:
        reject_unused("dot", "without project=True", activation=activation != "none")
    f = {"none": lambda x: x, "tanh": jnp.tanh}[activation]
    keys, project_query = _project_both(param, "dot", keys, query_size, project, units, bias)
    return _inner_product(f(keys), lambda query: f(project_query(query)))


@scores.register
def scaled_dot(
    param: Param, keys: Keys, query_size: int, project: bool = False, units: Size | None = None,
    scale: Factor | None = None, learned_scale: bool = False,
) -> Score:  # fmt: skip
    """k_j . q / sqrt(k)   (Vaswani et al. 2017, eq. 1; with their projections W_q and W_k where `project`).

    `scale` stands in place of 1 / sqrt(k), k the size after projecting to `units`, the query's when None.
    `learned_scale` multiplies by a learned g, 1 at first.
    """
    keys, project_query = _project_both(param, "scaled_dot", keys, query_size, project, units)
    scaled = keys / keys.shape[-1] ** 0.5 if scale is None else keys * scale
    return _inner_product(_scale(param, scaled, learned_scale), project_query)


@scores.register
def general(param: Param, keys: Keys, query_size: int, rank: Size | None = None, learned_scale: bool = False) -> Score:
    """k_j . W q   (Luong et al. 2015, eq. 8, general).

    With `rank`, W = U V through so many units: what dot(project=True, units=rank) computes. `learned_scale`
    multiplies by a learned g, 1 at first. Called "luong" in tensorflow/nmt and TensorFlow Addons (there with g as an
    option), "bilinear" in Sockeye.
    """
    if rank is None:
        W = param("W", weight_init, (keys.shape[-1], query_size))
        return _inner_product(_scale(param, keys @ W, learned_scale))
    U, V = param("U", weight_init, (keys.shape[-1], rank)), param("V", weight_init, (rank, query_size))
    return _inner_product(_scale(param, keys @ U, learned_scale), lambda query: query @ V.T)


@scores.register
def biaffine(param: Param, keys: Keys, query_size: int) -> Score:
    """k_j . W q + u . k_j   (Dozat & Manning 2017, eq. 2 and 3).

    The full form's w . q + b is the same for all positions, so a softmax cancels it; it is left out.
    """
    W, u = (
        param("W", weight_init, (keys.shape[-1], query_size)),
        param("u", vector_init(keys.shape[-1]), (keys.shape[-1],)),
    )
    similarity, prior = _inner_product(keys @ W), keys @ u
    return lambda query, history: similarity(query, history) + prior


@scores.register
def cosine(param: Param, keys: Keys, query_size: int, sharpness: Factor = 10.0, learned: bool = True) -> Score:
    """beta k_j . q / (|k_j| |q|)   (Graves et al. 2014, eq. 5 and 6, where the controller emits beta).

    beta, the inverse of a temperature, is `sharpness` at first and `learned` for all steps alike.
    """
    _require_same_size("cosine", keys, query_size)
    beta = _sharpness(param, sharpness, learned)
    unit = lambda x: x * jax.lax.rsqrt((x * x).sum(-1, keepdims=True) + EPSILON)  # noqa: E731
    return _inner_product(beta * unit(keys), unit)


@scores.register
def rbf(param: Param, keys: Keys, query_size: int, sharpness: Factor = 0.5, learned: bool = True) -> Score:
    """-beta |k_j - q|^2   (radial basis function: a softmax of it compares Gaussians around the query).

    beta is `sharpness` at first and `learned` for all steps alike.
    """
    _require_same_size("rbf", keys, query_size)
    beta = _sharpness(param, sharpness, learned)
    similarity, squared_norm = _inner_product(keys), (keys * keys).sum(-1)
    return lambda query, history: (
        beta * (2 * similarity(query, history) - squared_norm - (query * query).sum(-1, keepdims=True))
    )


@scores.register(attends=False, content=False)
def none(
    param: Param, last: Float[Array, "b h"], query_size: int, feed: Literal["state", "input"] = "state"
) -> Float[Array, "b f"]:
    """No attention: the decoder knows the encoder's last state alone   (None-State, None-Input of Britz et al. 2017).

    It starts from that state (`feed="state"`), and also reads it with each target symbol (`feed="input"`).
    Returns what enters each step's input; in place of the keys stands the last state.
    """
    return last if feed == "input" else last[:, :0]
