"""Coverage scores, which read how much attention each position has received: v . tanh(W_q q + W_k k_j [+ b] + C_j G).

C_j, the coverage of position j, is zero before the first step. Each score updates it in its own way. The update of Tu
et al. 2016 reads the state before the cell; here and in Sockeye it reads the query.
"""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from attn_research.annotations import Factor, Size
from attn_research.attention.additive import additive
from attn_research.attention.history import StatefulComponent, source_mask, uniform_weights
from attn_research.attention.scores import Keys, Param, Score, scores, vector_init, weight_init

ACTIVATIONS = {"tanh": jnp.tanh, "sigmoid": nn.sigmoid, "relu": nn.relu, "softplus": nn.softplus}


@scores.register(remembers=True, exact_gradient=lambda hyper: not hyper["stop_gradient"])
def coverage(
    param: Param, keys: Keys, query_size: int, units: Size | None = None, bias: bool = False,
    fertility: Factor | None = None, start: Literal["zero", "uniform"] = "zero", stop_gradient: bool = False,
) -> Score:  # fmt: skip
    """C_j the sum of the weights so far   (Sockeye's "count"; ESPnet's coverage starts it "uniform").

    `fertility` is the greatest number of target symbols that a source symbol can yield. The sum is then divided by
    fertility sigmoid(w . k_j) (Tu et al. 2016, linguistic coverage; 2 in Sockeye, 5 in Neural Monkey). With
    `stop_gradient` the sum passes no gradient.
    """
    score = additive(param, keys, query_size, units, bias)
    G = param("G", weight_init, (1, units or query_size))
    divisor = 1 if fertility is None else _fertility(param, keys, fertility)

    def logits(query, history):
        total = history.coverage + (uniform_weights(history) if start == "uniform" else 0)
        total = jax.lax.stop_gradient(total) if stop_gradient else total
        return score(query, (total / divisor)[..., None] @ G)

    return logits


@scores.register(remembers=True)
def coverage_nn(
    param: Param, keys: Keys, query_size: int, units: Size | None = None, bias: bool = False,
    size: Size = 10, activation: Literal["tanh", "sigmoid", "relu", "softplus"] = "tanh",
) -> StatefulComponent:  # fmt: skip
    """C'_j = tanh(E k_j + D q + R C_j + A a_j), of `size` units   (Tu et al. 2016, neural; Sockeye's "tanh" ...)."""
    update_input = _coverage_input(param, keys, query_size, size)
    R = param("R", weight_init, (size, size))
    act = ACTIVATIONS[activation]
    return _vector_coverage(
        param, keys, query_size, units, bias, size, lambda step_result, C: act(update_input(step_result) + C @ R)
    )


@scores.register(remembers=True)
def coverage_gru(
    param: Param, keys: Keys, query_size: int, units: Size | None = None, bias: bool = False, size: Size = 10
) -> StatefulComponent:
    """C'_j = GRU([k_j; q; a_j], C_j), of `size` units   (Tu et al. 2016, neural; Sockeye's "gru").

    x = E k_j + D q + A a_j + b_x, h = R C_j: r, z = sigmoid(x + h), n = tanh(x + r (h + b_n)), C' = (1 - z) n + z C.
    """
    update_input = _coverage_input(param, keys, query_size, 3 * size)
    R, b_x = param("R", weight_init, (size, 3 * size)), param("b_x", nn.initializers.zeros, (3 * size,))
    b_n = param("b_n", nn.initializers.zeros, (size,))

    def update(step_result, C):
        x, h = (jnp.split(y, [2 * size], -1) for y in (update_input(step_result) + b_x[None, None], C @ R))
        r, z = jnp.split(nn.sigmoid(x[0] + h[0]), 2, -1)
        n = jnp.tanh(x[1] + r * (h[1] + b_n[None, None]))
        return (1 - z) * n + z * C

    return _vector_coverage(param, keys, query_size, units, bias, size, update)


def _fertility(param: Param, keys: Keys, maximum: float) -> Float[Array, "b s"]:
    """Returns maximum sigmoid(w . k_j)."""
    return maximum * nn.sigmoid(keys @ param("w", vector_init(keys.shape[-1]), (keys.shape[-1],)))


def _coverage_input(param: Param, keys: Keys, query_size: int, size: int) -> Callable:
    """Returns StepResult -> E k_j + D q + A a_j, the input of the update of a vector coverage."""
    source = keys @ param("E", weight_init, (keys.shape[-1], size))
    D, A = param("D", weight_init, (query_size, size)), param("A", weight_init, (1, size))
    return lambda step_result: source + (step_result.query @ D)[:, None] + step_result.weights[..., None] @ A


def _vector_coverage(
    param: Param, keys: Keys, query_size: int, units: int | None, bias: bool, size: int, update: Callable
) -> StatefulComponent:
    """Returns the additive score with + C_j G. `update(step_result, C)` returns the next C."""
    score = additive(param, keys, query_size, units, bias)
    G = param("G", weight_init, (size, units or query_size))
    b, s, _ = keys.shape
    return StatefulComponent(
        jnp.zeros((b, s, size), keys.dtype),
        lambda query, history: score(query, history.memory @ G),
        lambda step_result, history: update(step_result, history.memory) * source_mask(history.lengths, s)[..., None],
    )
