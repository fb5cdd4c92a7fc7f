"""Scores that know where the last steps looked: v . tanh(W_q q + W_k k_j [+ b] + U f_j), f a convolution of weights.

Before the first step all real positions are taken to have had the same weight, as in ESPnet and SpeechBrain.
A filter has `reach` positions on each side; positions outside the sentence count as zero.
"""

from collections.abc import Callable
from typing import Annotated, Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from attn_research.annotations import Range, Size
from attn_research.attention.additive import additive
from attn_research.attention.history import History, Remembering, previous_weights, source_mask, uniform
from attn_research.attention.scores import Keys, Param, Score, scores, weight

Reach = Annotated[int, Range(least=0, most=1000)]


def _last(history: History) -> Float[Array, "b s"]:
    return previous_weights(history, uniform(history))


def _total(history: History) -> Float[Array, "b s"]:
    return history.coverage + uniform(history)


READS = {"weights": (_last,), "coverage": (_total,), "both": (_last, _total)}


@scores.register(positional=True, remembers=True)
def location_aware(
    param: Param, keys: Keys, query_size: int, units: Size | None = None, bias: bool = False, channels: Size = 10,
    reach: Reach = 5, reads: Literal["weights", "coverage", "both"] = "weights",
) -> Score:  # fmt: skip
    """f = F * a', a' the weights of the step before   (Chorowski et al. 2015, eq. 8 and 9, with `bias`).

    `reads` their running sum instead (ESPnet's "coverage_location"), or "both" (location-sensitive in Tacotron 2).
    """
    score = additive(param, keys, query_size, units, bias)
    filtered = _convolution(param, reach, len(READS[reads]), channels)
    U = param("U", weight, (channels, units or query_size))

    def logits(query, history):
        return score(query, filtered(jnp.stack([read(history) for read in READS[reads]], -1)) @ U)

    return logits


@scores.register(positional=True, remembers=True)
def location_2d(
    param: Param, keys: Keys, query_size: int, units: Size | None = None, bias: bool = False, channels: Size = 10,
    reach: Reach = 5, steps: Size = 5,
) -> Remembering:  # fmt: skip
    """f = F * [a^(t-n); ...; a^(t-1)], the weights of the last n = `steps` steps   (ESPnet's "location2d")."""
    score = additive(param, keys, query_size, units, bias)
    filtered = _convolution(param, reach, steps, channels)
    U = param("U", weight, (channels, units or query_size))

    def logits(query, history):
        before_first = (jnp.arange(steps) + history.step < steps)[None, None]
        recent = jnp.where(before_first, uniform(history)[..., None], history.memory)
        return score(query, filtered(recent) @ U)

    def update(done, history):
        return jnp.concatenate([history.memory[..., 1:], done.weights[..., None]], -1)

    return Remembering(jnp.zeros((*keys.shape[:2], steps), keys.dtype), logits, update)


@scores.register(positional=True, remembers=True)
def location_recurrent(
    param: Param, keys: Keys, query_size: int, units: Size | None = None, bias: bool = False, channels: Size = 10,
    reach: Reach = 5,
) -> Remembering:  # fmt: skip
    """In place of U f_j, for all j alike, h_t = LSTM(max_j relu(F * a')_j, h_(t-1))   (ESPnet's "location_recurrent").

    The LSTM has no bias. The maximum is over real positions; ESPnet's is over the padding too.
    """
    a = units or query_size
    score = additive(param, keys, query_size, units, bias)
    filtered = _convolution(param, reach, 1, channels)
    W = param("W", weight, (channels + a, 4 * a))

    def now(history):
        c, h = history.memory
        real = source_mask(history.lengths, keys.shape[1])[..., None]
        f = jnp.where(real, nn.relu(filtered(_last(history)[..., None])), 0).max(1)
        i, forget, g, o = jnp.split(jnp.concatenate([f, h], -1) @ W, 4, -1)
        c = nn.sigmoid(forget) * c + nn.sigmoid(i) * jnp.tanh(g)
        return c, nn.sigmoid(o) * jnp.tanh(c)

    nothing = jnp.zeros((len(keys), a), keys.dtype)
    return Remembering(
        (nothing, nothing),
        lambda query, history: score(query, now(history)[1][:, None]),
        lambda done, history: now(history),
    )


def _convolution(param: Param, reach: int, inputs: int, channels: int) -> Callable:
    """features [b s i] -> [b s c], by filters F [2 reach + 1, i, c]."""
    F = param("F", weight, (2 * reach + 1, inputs, channels))
    form = ("NWC", "WIO", "NWC")
    return lambda features: jax.lax.conv_general_dilated(features, F, (1,), "SAME", dimension_numbers=form)
