"""The encoder: a stack of recurrent layers over the source, in one direction or both."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float, Int

from attn_research import config
from attn_research.attention.attention import Parameters
from attn_research.errors import UserError
from attn_research.models.cells import cells
from attn_research.models.scan import scan

State = tuple[Array, ...]


class EncoderOutput(NamedTuple):
    """The source as the decoder reads it."""

    states: Float[Array, "b s h"]  # of the top layer
    lengths: Int[Array, " b"]
    last: list[State]  # of every layer, the forward direction joined with the backward one
    direction: str  # of the encoder


def dropout_mask(key: Array, rate: float, shape: tuple[int, ...]) -> Float[Array, "..."]:
    """Returns 0 with probability `rate`, else 1 / (1 - rate)."""
    return jax.random.bernoulli(key, 1 - rate, shape) / (1 - rate)


def unroll(
    cell: Callable, start: State, inputs: Float[Array, "s b i"], mask: Bool[Array, "s b"], reverse: bool
) -> tuple[State, Float[Array, "s b h"]]:
    """Runs a cell over the source. Padding does not change its state."""

    def step(state, x):
        symbol, real = x
        state = tuple(jnp.where(real[:, None], new, old) for new, old in zip(cell(state, symbol), state, strict=True))
        return state, state[-1]

    return scan(step, start, (inputs, mask), reverse=reverse)


class Encoder(nn.Module):
    """Stacks the layers. Layer l + 1 reads the states of layer l, both directions joined."""

    config: config.Encoder
    dropout: float

    @nn.compact
    def __call__(
        self, inputs: Float[Array, "s b e"], mask: Bool[Array, "s b"]
    ) -> tuple[Float[Array, "s b h"], list[State]]:
        """Returns the states of the top layer, and the last state of every layer."""
        last = []
        for layer in range(self.config.layers):
            if self.dropout and self.has_rng("dropout"):
                inputs = inputs * dropout_mask(self.make_rng("dropout"), self.dropout, inputs.shape)
            ends, states = zip(
                *(self._run_direction(layer, direction, inputs, mask) for direction in self._directions()), strict=True
            )
            inputs = jnp.concatenate(states, -1)
            last.append(tuple(jnp.concatenate(parts, -1) for parts in zip(*ends, strict=True)))
        return inputs, last

    def _directions(self) -> tuple[str, ...]:
        if self.config.direction == "both" and self.config.hidden % 2:
            raise UserError(f"model.encoder.hidden is {self.config.hidden}, but direction both needs an even size")
        return ("forward", "reversed") if self.config.direction == "both" else (self.config.direction,)

    def _run_direction(self, layer: int, direction: str, inputs: Array, mask: Array) -> tuple[State, Array]:
        bound, hidden = cells.bind(self.config.cell), self.config.hidden // len(self._directions())
        cell = Parameters(name=f"layer_{layer}_{direction}")(bound, inputs.shape[-1], hidden)
        start = (jnp.zeros((inputs.shape[1], hidden), inputs.dtype),) * bound.traits.parts
        return unroll(cell, start, inputs, mask, reverse=direction == "reversed")
