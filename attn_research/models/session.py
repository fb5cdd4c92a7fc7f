"""An encoded batch: what training and every search see of a model."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from attn_research.data.vocab import BOS
from attn_research.models.decoder import BoundDecoder, DecoderState


def shift_right(target: Int[Array, "b t"]) -> Int[Array, "t b"]:
    """The inputs of the steps that are to write `target`: one symbol behind, time first."""
    return jnp.pad(target.T[:-1], ((1, 0), (0, 0)), constant_values=BOS)


class DecoderSession(NamedTuple):
    """An encoded batch, ready to be decoded step by step or along given targets."""

    steps: BoundDecoder
    embed: Callable  # symbols [...] -> vectors [... e]
    output: Callable  # attentional vectors [... a] -> logits [... n]
    drop_symbols: Callable  # dropout of the symbol vectors; changes nothing outside training
    drop_vectors: Callable  # the same for the attentional vectors

    @property
    def start(self) -> DecoderState:
        """The state before the first target symbol."""
        return self.steps.start

    def step(
        self, state: DecoderState, symbols: Int[Array, " b"]
    ) -> tuple[DecoderState, Float[Array, "b n"], Float[Array, "b s"]]:
        """The next state, the logits of the next symbols and the attention weights."""
        state, (vector, weights) = self.steps.step(state, self.embed(symbols))
        return state, self.output(vector), weights

    def teacher_force(self, target: Int[Array, "b t"]) -> tuple[Float[Array, "t b n"], Float[Array, "t b s"]]:
        """Logits and weights of all steps along `target`, which each step's input is one symbol behind (time first)."""
        vectors, weights = self.steps.teacher_force(self.drop_symbols(self.embed(shift_right(target))))
        return self.output(self.drop_vectors(vectors)), weights
