"""Scores: rate how well each key (an encoder state) matches a query (the decoder's state).

A score is a function of the source that returns a function of the query. The code before its `return` runs once per
sentence; the function that it returns runs once per target step. `param(name, init, shape)` returns a learned array and
is called before the `return` only. Keys are [b s k], a query is [b q], logits are [b s].

The scores here read nothing but the content of keys, by products and distances. The others are in additive.py,
positional.py, coverage.py and location_aware.py.
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

# attends: returns logits; False only for `none`.
# content: reads the values of keys, not only their number.
# positional: reads the index of a key.
# remembers: reads earlier steps, so steps cannot run all at once.
# random: draws from history.key in training.
# exact_gradient: False if the gradient is an estimate.
# limit: the hyperparameter that bounds the length of a source.
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
    """Returns an initializer of vectors whose product with `size` units keeps the variance of these units."""
    return nn.initializers.normal(size**-0.5)


def reject_unused(score: str, where: str, **options: bool) -> None:
    """Rejects the options that are set, because they have no effect.

    Raises:
      UserError: an option is True.
    """
    for option, is_set in options.items():
        if is_set:
            raise UserError(f"{option} of score {score!r} has no effect {where}")


def _require_same_size(score: str, keys: Keys, query_size: int) -> None:
    if keys.shape[-1] != query_size:
        raise UserError(
            f"score {score!r} needs query and key of one size, but the query has {query_size} and the key "
            f"{keys.shape[-1]}; set model.attention.keys={query_size} or choose dot(project=True), general or concat"
        )


def _inner_product(keys: Keys, project_query: Callable = lambda query: query) -> Score:
    """Returns query -> k_j . project_query(query)."""
    return lambda query, history: jnp.einsum("bsa,ba->bs", keys, project_query(query))


def _affine(param: Param, name: str, size: int, units: int, bias: bool = False) -> Callable:
    """Returns x -> x W_name [+ b_name]."""
    W = param(f"W_{name}", weight_init, (size, units))
    b = param(f"b_{name}", nn.initializers.zeros, (units,)) if bias else None
    return lambda x: x @ W if b is None else x @ W + jnp.broadcast_to(b, (*x.shape[:-1], units))


def _project_both(
    param: Param, score: str, keys: Keys, query_size: int, project: bool, units: int | None, bias: bool = False
) -> tuple[Float[Array, "b s a"], Callable]:
    """Returns W_k k_j [+ b_k] and q -> W_q q [+ b_q], of size `units`; without `project`, k_j and q -> q."""
    if not project:
        reject_unused(score, "without project=True", units=units is not None, bias=bias)
        _require_same_size(score, keys, query_size)
        return keys, lambda query: query
    a = units or query_size
    project_query = _affine(param, "q", query_size, a, bias)
    return _affine(param, "k", keys.shape[-1], a, bias)(keys), project_query


def _scale(param: Param, keys: Keys, learned_scale: bool) -> Keys:
    """Returns g k_j; g is learned and starts at 1."""
    return keys * param("g", nn.initializers.ones, ()) if learned_scale else keys


def _sharpness(param: Param, sharpness: float, learned: bool) -> float | Array:
    """Returns a factor. If it is learned, the parameter is its logarithm, so it stays positive."""
    return jnp.exp(param("log_beta", nn.initializers.constant(math.log(sharpness)), ())) if learned else sharpness


@scores.register
def dot(
    param: Param, keys: Keys, query_size: int, project: bool = False, units: Size | None = None, bias: bool = False,
    activation: Literal["none", "tanh"] = "none",
) -> Score:  # fmt: skip
    """k_j . q   (Luong et al. 2015, eq. 8, dot).

    With `project`: f(W_k k_j [+ b_k]) . f(W_q q [+ b_q]), f the `activation`, of size `units` (None: the size of the
    query). ESPnet's dot has projections, biases and tanh. gs2s's dot has no tanh, and then a softmax cancels b_k.
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
    """k_j . q / sqrt(k)   (Vaswani et al. 2017, eq. 1; `project` adds their projections W_q and W_k).

    `scale` replaces 1 / sqrt(k). k is the size after the projection to `units` (None: the size of the query).
    `learned_scale` multiplies by a learned g that starts at 1.
    """
    keys, project_query = _project_both(param, "scaled_dot", keys, query_size, project, units)
    scaled = keys / keys.shape[-1] ** 0.5 if scale is None else keys * scale
    return _inner_product(_scale(param, scaled, learned_scale), project_query)


@scores.register
def general(param: Param, keys: Keys, query_size: int, rank: Size | None = None, learned_scale: bool = False) -> Score:
    """k_j . W q   (Luong et al. 2015, eq. 8, general).

    With `rank`, W = U V with `rank` inner units, as in dot(project=True, units=rank). `learned_scale` multiplies by a
    learned g that starts at 1. This score is "luong" in tensorflow/nmt and TensorFlow Addons (with g as an option), and
    "bilinear" in Sockeye.
    """
    if rank is None:
        W = param("W", weight_init, (keys.shape[-1], query_size))
        return _inner_product(_scale(param, keys @ W, learned_scale))
    U, V = param("U", weight_init, (keys.shape[-1], rank)), param("V", weight_init, (rank, query_size))
    return _inner_product(_scale(param, keys @ U, learned_scale), lambda query: query @ V.T)


@scores.register
def biaffine(param: Param, keys: Keys, query_size: int) -> Score:
    """k_j . W q + u . k_j   (Dozat & Manning 2017, eq. 2 and 3).

    The full form adds w . q + b, which is equal at all positions. A softmax cancels it, so it is left out.
    """
    W = param("W", weight_init, (keys.shape[-1], query_size))
    u = param("u", vector_init(keys.shape[-1]), (keys.shape[-1],))
    similarity, prior = _inner_product(keys @ W), keys @ u
    return lambda query, history: similarity(query, history) + prior


@scores.register
def cosine(param: Param, keys: Keys, query_size: int, sharpness: Factor = 10.0, learned: bool = True) -> Score:
    """beta k_j . q / (|k_j| |q|)   (Graves et al. 2014, eq. 5 and 6, where the controller emits beta).

    beta, an inverse temperature, starts at `sharpness`. If `learned`, it is one parameter for all steps.
    """
    _require_same_size("cosine", keys, query_size)
    beta = _sharpness(param, sharpness, learned)
    unit = lambda x: x * jax.lax.rsqrt((x * x).sum(-1, keepdims=True) + EPSILON)  # noqa: E731
    return _inner_product(beta * unit(keys), unit)


@scores.register
def rbf(param: Param, keys: Keys, query_size: int, sharpness: Factor = 0.5, learned: bool = True) -> Score:
    """-beta |k_j - q|^2   (radial basis function: a softmax of it compares Gaussians around the query).

    beta starts at `sharpness`. If `learned`, it is one parameter for all steps.
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
    """No attention: the decoder reads only the encoder's last state   (None-State, None-Input of Britz et al. 2017).

    The decoder starts from that state. With feed="input" it also reads the state with each target symbol. `none` takes
    the last state in place of the keys, and returns what each step reads of it.
    """
    return last if feed == "input" else last[:, :0]
