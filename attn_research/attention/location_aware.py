"""Location-aware scores: v . tanh(W_q q + W_k k_j [+ b] + U f_j), f a convolution of the weights of earlier steps.

A filter covers `reach` positions on each side. Positions outside the sentence count as zero.
"""

from collections.abc import Callable
from typing import Annotated, Literal, cast

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from attn_research.annotations import Range, Size
from attn_research.attention.additive import additive
from attn_research.attention.history import (
    History,
    StatefulComponent,
    first_position,
    previous_weights,
    source_mask,
    uniform_weights,
)
from attn_research.attention.scores import Keys, Param, Score, scores, weight_init

Reach = Annotated[int, Range(minimum=0, maximum=1000)]
Steps = Annotated[int, Range(minimum=1, maximum=1000)]
Start = Literal["uniform", "first", "zero"]
STARTS = {"uniform": uniform_weights, "first": first_position, "zero": lambda history: jnp.zeros_like(history.weights)}


def _summed_weights(history: History, start: Float[Array, "b s"]) -> Float[Array, "b s"]:
    return cast(Array, history.coverage) + start  # never None for a score that remembers


FEATURES = {"weights": (previous_weights,), "coverage": (_summed_weights,), "both": (previous_weights, _summed_weights)}


def _stack(*features: Callable) -> Callable:
    return lambda history, start: jnp.stack([feature(history, start) for feature in features], -1)


def _bind_feature(start: Start, stop_gradient: bool, feature: Callable) -> Callable:
    """Returns History -> [b s i], by `feature(history, weights before the first step)`."""
    stop = jax.lax.stop_gradient if stop_gradient else lambda x: x
    return lambda history: stop(feature(history, STARTS[start](history)))


def _is_exact(hyper: dict) -> bool:
    return not hyper["stop_gradient"]


@scores.register(positional=True, remembers=True, exact_gradient=_is_exact)
def location_aware(
    param: Param, keys: Keys, query_size: int, units: Size | None = None, bias: bool = False, channels: Size = 10,
    reach: Reach = 5, reads: Literal["weights", "coverage", "both"] = "weights", start: Start = "uniform",
    stop_gradient: bool = False,
) -> Score:  # fmt: skip
    """f = F * a', a' the weights of the last step   (Chorowski et al. 2015, eq. 8 and 9, with `bias`).

    With `reads`, a' is the sum of all earlier weights ("coverage", ESPnet's "coverage_location") or "both"
    (location-sensitive in Tacotron 2). `start` gives the weights before the first step: "uniform" over the real
    positions (ESPnet, SpeechBrain), all on the "first" position (ESPnet's forward attention) or "zero" (NVIDIA's
    Tacotron 2). With `stop_gradient`, a' passes no gradient (SpeechBrain).
    """
    score = additive(param, keys, query_size, units, bias)
    convolve = _convolution(param, reach, len(FEATURES[reads]), channels)
    U = param("U", weight_init, (channels, units or query_size))
    feature = _bind_feature(start, stop_gradient, _stack(*FEATURES[reads]))
    return lambda query, history: score(query, convolve(feature(history)) @ U)


@scores.register(positional=True, remembers=True, exact_gradient=_is_exact)
def location_2d(
    param: Param, keys: Keys, query_size: int, units: Size | None = None, bias: bool = False, channels: Size = 10,
    reach: Reach = 5, steps: Steps = 5, start: Start = "uniform", stop_gradient: bool = False,
) -> StatefulComponent:  # fmt: skip
    """f = F * [a^(t-n); ...; a^(t-1)], the weights of the last n = `steps` steps   (ESPnet's "location2d").

    `start` and `stop_gradient` are as in location_aware.
    """
    score = additive(param, keys, query_size, units, bias)
    convolve = _convolution(param, reach, steps, channels)
    U = param("U", weight_init, (channels, units or query_size))

    def recent(history, before):
        before_first = (jnp.arange(steps) + history.step < steps)[None, None]
        return jnp.where(before_first, before[..., None], history.memory)

    feature = _bind_feature(start, stop_gradient, recent)

    def logits(query, history):
        return score(query, convolve(feature(history)) @ U)

    def update(step_result, history):
        return jnp.concatenate([history.memory[..., 1:], step_result.weights[..., None]], -1)

    return StatefulComponent(jnp.zeros((*keys.shape[:2], steps), keys.dtype), logits, update)


@scores.register(positional=True, remembers=True, exact_gradient=_is_exact)
def location_recurrent(
    param: Param, keys: Keys, query_size: int, units: Size | None = None, bias: bool = False, channels: Size = 10,
    reach: Reach = 5, start: Start = "uniform", stop_gradient: bool = False,
) -> StatefulComponent:  # fmt: skip
    """h_t = LSTM(max_j relu(F * a')_j, h_(t-1)), equal for all j, in place of U f_j   (ESPnet's "location_recurrent").

    The LSTM has no bias. The maximum is over real positions; ESPnet's includes the padding. `start` and
    `stop_gradient` are as in location_aware.
    """
    a = units or query_size
    score = additive(param, keys, query_size, units, bias)
    convolve = _convolution(param, reach, 1, channels)
    W = param("W", weight_init, (channels + a, 4 * a))
    feature = _bind_feature(start, stop_gradient, _stack(previous_weights))

    def next_state(history):
        c, h = history.memory
        real = source_mask(history.lengths, keys.shape[1])[..., None]
        f = jnp.where(real, nn.relu(convolve(feature(history))), 0).max(1)
        i, forget, g, o = jnp.split(jnp.concatenate([f, h], -1) @ W, 4, -1)
        c = nn.sigmoid(forget) * c + nn.sigmoid(i) * jnp.tanh(g)
        return c, nn.sigmoid(o) * jnp.tanh(c)

    zeros = jnp.zeros((len(keys), a), keys.dtype)
    return StatefulComponent(
        (zeros, zeros),
        lambda query, history: score(query, next_state(history)[1][:, None]),
        lambda step_result, history: next_state(history),
    )


def _convolution(param: Param, reach: int, inputs: int, channels: int) -> Callable:
    """Returns features [b s i] -> [b s c], a convolution with filters F [2 reach + 1, i, c]."""
    F = param("F", weight_init, (2 * reach + 1, inputs, channels))
    form = ("NWC", "WIO", "NWC")
    return lambda features: jax.lax.conv_general_dilated(features, F, (1,), "SAME", dimension_numbers=form)
