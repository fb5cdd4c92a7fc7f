"""The decoder: a stack of recurrent layers that attends to the source in each step."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from attn_research import config
from attn_research.attention.attention import Attention, BoundAttention, Parameters
from attn_research.attention.history import History
from attn_research.attention.latent import Latent
from attn_research.errors import UserError
from attn_research.models.bridges import bridges
from attn_research.models.cells import cells
from attn_research.models.combinations import combinations
from attn_research.models.encoder import EncoderOutput, dropout_mask
from attn_research.models.placements import AttentionOutput, LayerBuilder, StepInput, placements
from attn_research.models.scan import scan


class DecoderState(NamedTuple):
    """The state between two target steps."""

    cells: tuple[tuple[Array, ...], ...]  # a tuple of [b h] a layer
    vector: Float[Array, "b a"]  # attentional vector of the last step, zero before the first
    context: Float[Array, "b v"]  # of the last step, zero before the first
    history: tuple[History, ...]  # of the attention, for every head


class DecoderInput(NamedTuple):
    """The input of one target step, or of all steps stacked."""

    symbol: Float[Array, "*t b e"]  # the vector of the last symbol
    masks: Float[Array, "*t l b h"] | None  # dropout between the layers, in training


@dataclass(frozen=True, eq=False)
class BoundDecoder:
    """The decoder over one batch of sources, its parameters already taken: pure functions, as in `BoundAttention`."""

    config: config.Decoder
    attention: BoundAttention
    start: DecoderState  # before the first step
    run_layers: Callable  # (attend, StepInput) -> cells, h, AttentionOutput: the layers in their placement's order
    combine: Callable  # (context, h, symbol vector) -> attentional vector
    size: int  # a, of an attentional vector; a latent has one [... b s a] for every source position
    query_reads_symbol: bool
    combine_reads_feedback: bool
    dropout: float  # between the layers
    dropout_key: Array | None  # None outside training

    @property
    def latent(self) -> Latent | None:
        """If there is one, steps return a `PriorInput` in place of the weights."""
        return self.attention.latent

    def step(self, state: DecoderState, symbol: Float[Array, "b e"]) -> tuple[DecoderState, tuple]:
        """Takes one target step without dropout.

        Returns:
          The next state, and a pair of attentional vectors [b a] and weights [b s].
        """
        return self.decode_step(state, DecoderInput(symbol, None))

    def teacher_force(self, symbols: Float[Array, "t b e"]) -> tuple:
        """Takes all steps along given symbols, time first, with dropout in training.

        Returns:
          Attentional vectors [t b a] and weights [t b s].
        """
        c, inputs = self.config, DecoderInput(symbols, self.dropout_masks(symbols))
        if placements.bind(c.placement).traits.waits or c.input_feeding != "none" or self.attention.remembers:
            return scan(self.decode_step, self.start, inputs)[1]
        h = scan(self.layers_step, self.start, inputs)[1]
        contexts, weights = self.attention.attend_all(self.query(h, symbols))
        return self.combine(contexts, h, symbols), weights

    def decode_step(self, state: DecoderState, x: DecoderInput) -> tuple[DecoderState, tuple]:
        """Takes one target step, as `step` does, with the dropout of its input."""

        def attend(h):
            return AttentionOutput(*self.attention.step(self.query(h, x.symbol), state.history))

        cells, h, attended = self.run_layers(attend, self.step_input(state, x))
        vector = self.combine(attended.context, h, self.combined_symbol(state, x.symbol))
        fed = state.vector if self.latent else vector
        return DecoderState(cells, fed, attended.context, attended.history), (vector, attended.weights)

    def layers_step(self, state: DecoderState, x: DecoderInput) -> tuple[DecoderState, Float[Array, "b h"]]:
        """Takes one step of the layers alone, for a placement in which they do not wait for the attention."""
        cells, h, _ = self.run_layers(lambda h: None, self.step_input(state, x))
        return state._replace(cells=cells), h

    def query(self, h: Float[Array, "*t b h"], symbol: Float[Array, "*t b e"]) -> Float[Array, "*t b q"]:
        """Returns the query of the attention."""
        return jnp.concatenate([h, symbol], -1) if self.query_reads_symbol else h

    def feedback(self, state: DecoderState) -> list[Float[Array, "b f"]]:
        """Returns the array that input feeding adds to a step's input, in a list; without it, an empty list."""
        return {"attentional": [state.vector], "context": [state.context], "none": []}[self.config.input_feeding]

    def step_input(self, state: DecoderState, x: DecoderInput) -> StepInput:
        """Returns the input of the layers."""
        added = jnp.concatenate([*self.feedback(state), self.attention.static_input], -1)
        return StepInput(state.cells, x.symbol, added, state.context, x.masks)

    def combined_symbol(self, state: DecoderState, symbol: Float[Array, "b e"]) -> Float[Array, "b e_f"]:
        """Returns the symbol vector as the combination reads it."""
        return jnp.concatenate([symbol, *self.feedback(state)], -1) if self.combine_reads_feedback else symbol

    def dropout_masks(self, symbols: Float[Array, "t b e"]) -> Float[Array, "t l b h"] | None:
        """Returns the masks between the layers, or None outside training."""
        if self.dropout_key is None:
            return None
        shape = (len(symbols), self.config.layers - 1, symbols.shape[1], self.config.hidden)
        return dropout_mask(self.dropout_key, self.dropout, shape)


class Decoder(nn.Module):
    """Builds the layers, the attention and the combination. Each config field has the same effect under every score."""

    config: config.Decoder
    attention: config.Attention
    dropout: float

    @nn.compact
    def __call__(self, source: EncoderOutput, embedding: int) -> BoundDecoder:
        """Binds the decoder to a batch of sources. In training it takes the random stream `dropout`.

        Args:
          source: the encoded batch.
          embedding: e of the symbol vectors [b e] to come.

        Raises:
          UserError: a config field has no effect, or does not fit the sizes.
        """
        c = self.config
        query_reads_symbol = self.attention.query == "state_and_symbol"
        query_size = c.hidden + (embedding if query_reads_symbol else 0)
        attention = Attention(self.attention, name="attention")
        bound = attention(source.states, source.lengths, source.last[-1][-1], query_size)
        self._check(bound)
        combine, size = self._combination(bound.context_size, embedding)
        start, run_layers = self._layers(source, bound, embedding, size)
        return BoundDecoder(
            config=c,
            attention=bound,
            start=start,
            run_layers=run_layers,
            combine=broadcast_positions(combine, bound.latent.values) if bound.latent else combine,
            size=size,
            query_reads_symbol=query_reads_symbol,
            combine_reads_feedback=combinations.bind(c.combination).traits.fed,
            dropout=self.dropout,
            dropout_key=self.make_rng("dropout") if self.dropout and self.has_rng("dropout") else None,
        )

    def _combination(self, context_size: int, embedding: int) -> tuple[Callable, int]:
        """Returns the combination and the size of its vectors, which does not depend on that of y."""
        bound, hidden = combinations.bind(self.config.combination), self.config.hidden
        sizes = (context_size, hidden, embedding)
        vectors = [jax.ShapeDtypeStruct((1, size), jnp.float32) for size in sizes]
        blank = lambda name, init, shape: jnp.zeros(shape)  # noqa: E731
        size = jax.eval_shape(lambda *vectors: bound(blank, *sizes)(*vectors), *vectors).shape[-1]
        if bound.traits.fed:
            embedding += self._fed(size, context_size)
        return Parameters(name="combination")(bound, context_size, hidden, embedding), size

    def _fed(self, size: int, context_size: int) -> int:
        """Returns the size of the vector that input feeding adds to the symbol's."""
        return {"attentional": size, "context": context_size, "none": 0}[self.config.input_feeding]

    def _layers(
        self, source: EncoderOutput, bound_attention: BoundAttention, embedding: int, size: int
    ) -> tuple[DecoderState, Callable]:
        """Returns the state before the first step, and one step of the layers around the attention."""
        c = self.config
        bound = cells.bind(c.cell)
        bridge = Parameters(name="bridge")(bridges.bind(c.bridge), source, c.layers, bound.traits.parts, c.hidden)
        vector, context = (
            jnp.zeros((len(source.lengths), n), source.states.dtype) for n in (size, bound_attention.context_size)
        )
        inputs = embedding + self._fed(size, bound_attention.context_size) + bound_attention.static_input.shape[-1]

        def cell(name, size):
            return Parameters(name=name)(bound, size, c.hidden)

        builder = LayerBuilder(cell, c.layers, inputs, bound_attention.context_size, c.hidden)
        return DecoderState(bridge, vector, context, bound_attention.start), placements.bind(c.placement)(builder)

    def _check(self, bound_attention: BoundAttention) -> None:
        """Rejects fields without effect."""
        c, score = self.config, str(self.attention.score)
        waits = placements.bind(c.placement).traits.waits
        reads = combinations.bind(c.combination).traits.reads
        if combinations.bind(c.combination).traits.fed and c.input_feeding == "none":
            raise UserError(
                f"fed of combination {str(c.combination)!r} has no effect with input_feeding 'none'; set "
                "model.decoder.input_feeding=attentional"
            )
        if bound_attention.latent:
            self._check_latent(bound_attention.latent, waits, reads)
        if bound_attention.context_size:
            if not (reads or waits or c.input_feeding == "context"):
                raise UserError(
                    f"combination {str(c.combination)!r} with placement {str(c.placement)!r} and input_feeding "
                    f"{c.input_feeding!r} never reads the context; set combination to tanh or linear, placement to "
                    "before or input_feeding to context"
                )
            return
        if waits:
            raise UserError(f"placement {str(c.placement)!r} has no effect: score {score!r} has no context to place")
        if c.input_feeding == "context":
            raise UserError(f"input_feeding 'context' has no effect: score {score!r} has no context to feed")
        if not bound_attention.static_input.shape[-1] and not bridges.bind(c.bridge).traits.informs:
            raise UserError(
                f"with score {score!r} and bridge {str(c.bridge)!r} the decoder knows nothing about the source"
            )

    def _check_latent(self, latent: Latent, waits: bool, reads: bool) -> None:
        c, name = self.config, f"model.attention.latent {str(self.attention.latent)!r}"
        if not reads:
            raise UserError(f"{name} has no effect with combination {str(c.combination)!r}, which reads no context")
        if c.input_feeding == "attentional":
            raise UserError(
                f"input_feeding 'attentional' has no meaning with {name}, where every source position has its own "
                "vector; set model.decoder.input_feeding=none"
            )
        if latent.chained and (waits or c.input_feeding != "none"):
            raise UserError(
                f"{name} has no context for the layers, because the attention's weights are not its prior; set "
                "model.decoder.placement=after and model.decoder.input_feeding=none, or latent hard"
            )


def broadcast_positions(combine: Callable, values: Float[Array, "b s v"]) -> Callable:
    """Returns the combination of each source position's value in place of the context, as [... b s a]."""

    def combine_all(context, state, symbol):
        def broadcast(x):
            return jnp.broadcast_to(x[..., None, :], (*x.shape[:-1], values.shape[1], x.shape[-1]))

        return combine(
            jnp.broadcast_to(values, (*state.shape[:-2], *values.shape)), broadcast(state), broadcast(symbol)
        )

    return combine_all
