"""The decoder: a stack of recurrent layers that looks back at the source in each step."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int

from attn_research import config
from attn_research.attention.attention import Attend, Attention, Parameters
from attn_research.attention.history import History
from attn_research.models.bridges import bridges
from attn_research.models.cells import cells
from attn_research.models.combinations import combinations
from attn_research.models.encoder import dropout_mask


class State(NamedTuple):
    """Between two target steps."""

    cells: tuple[tuple[Array, ...], ...]  # a tuple of [b h] a layer
    fed: Float[Array, "b f"]  # what input feeding carries into the next step
    history: tuple[History, ...]  # of every head


class Steps(NamedTuple):
    """The decoder over one batch of sources: pure functions, their parameters already taken."""

    start: State
    step: Callable  # (State, symbol vectors [b e]) -> State, (attentional vectors [b h], weights [b s])
    force: Callable  # symbol vectors [t b e] -> attentional vectors [t b h], weights [t b s]


class Decoder(nn.Module):
    """Each field of its config means the same under every score."""

    config: config.Decoder
    attention: config.Attention
    dropout: float

    @nn.compact
    def __call__(self, states: Float[Array, "b s h"], lengths: Int[Array, " b"], last: list, embedding: int) -> Steps:
        c = self.config
        bound = cells.bind(c.cell)
        joined = self.attention.query == "state_and_symbol"
        query_size = c.hidden + (embedding if joined else 0)
        attend = Attention(self.attention, name="attention")(states, lengths, last[-1][-1], query_size)
        self._check(attend)
        bridge = Parameters(name="bridge")(bridges.bind(c.bridge), last, c.layers, bound.traits.parts, c.hidden)
        combine = Parameters(name="combination")(combinations.bind(c.combination), attend.context_size, c.hidden)
        fed_size = {"attentional": c.hidden, "context": attend.context_size, "none": 0}[c.input_feeding]
        now = attend.context_size if c.placement == "before" else 0
        sizes = [embedding + fed_size + now + attend.fixed.shape[-1]] + [c.hidden] * (c.layers - 1)
        stack = [Parameters(name=f"layer_{layer}")(bound, size, c.hidden) for layer, size in enumerate(sizes)]

        def query(h, x):
            return jnp.concatenate([h, x], -1) if joined else h

        def advance(state, x):
            """One target step; `x` is the symbol's vector and, in training, the masks between the layers."""
            x, masks = x
            fed, history = [state.fed, attend.fixed], state.history
            if c.placement == "before":
                context, weights, history = attend.step(query(state.cells[-1][-1], x), history)
                fed = [context, *fed]
            memory = run_cells(stack, state.cells, jnp.concatenate([x, *fed], -1), masks)
            h = memory[-1][-1]
            if c.placement == "after":
                context, weights, history = attend.step(query(h, x), history)
            vector = combine(context, h)
            carried = {"attentional": vector, "context": context, "none": state.fed}[c.input_feeding]
            return State(memory, carried, history), (vector, weights)

        def force(xs):
            xs = (xs, self._masks(dropout, xs))
            if c.placement == "before" or c.input_feeding != "none" or attend.remembers:
                return jax.lax.scan(advance, start, xs)[1]
            h = hidden_states(stack, start.cells, attend.fixed, xs)
            contexts, weights = attend.all_steps(query(h, xs[0]))
            return combine(contexts, h), weights

        dropout = self.make_rng("dropout") if self.dropout and self.has_rng("dropout") else None
        start = State(bridge, jnp.zeros((len(lengths), fed_size), states.dtype), attend.start)
        return Steps(start, lambda state, x: advance(state, (x, None)), force)

    def _masks(self, key: Array | None, xs: Float[Array, "t b e"]) -> Array | None:
        if key is None:
            return None
        return dropout_mask(key, self.dropout, (len(xs), self.config.layers - 1, xs.shape[1], self.config.hidden))

    def _check(self, attend: Attend) -> None:
        """Refuses what would be without effect."""
        c, score = self.config, str(self.attention.score)
        if attend.context_size:
            reads = combinations.bind(c.combination).traits.reads
            if not reads and c.placement == "after" and c.input_feeding != "context":
                raise ValueError(
                    f"combination 'none' with placement 'after' and input_feeding {c.input_feeding!r} never reads the "
                    "context; set combination to tanh or linear, placement to before or input_feeding to context"
                )
            return
        if c.placement == "before":
            raise ValueError(f"placement 'before' has no effect: score {score!r} gives no context to place")
        if c.input_feeding == "context":
            raise ValueError(f"input_feeding 'context' has no effect: score {score!r} gives no context to feed")
        if not attend.fixed.shape[-1] and not bridges.bind(c.bridge).traits.informs:
            raise ValueError(
                f"with score {score!r} and bridge {str(c.bridge)!r} the decoder knows nothing of the source"
            )


def run_cells(stack: list[Callable], memory: tuple, x: Float[Array, "b i"], masks: Array | None) -> tuple:
    """One step of every layer; `masks` [l - 1 b h] are put on what one layer hands to the next."""
    states = []
    for layer, (cell, state) in enumerate(zip(stack, memory, strict=True)):
        if layer and masks is not None:
            x = x * masks[layer - 1]
        states.append(cell(state, x))
        x = states[-1][-1]
    return tuple(states)


def hidden_states(stack: list[Callable], start: tuple, fixed: Float[Array, "b f"], xs: tuple) -> Float[Array, "t b h"]:
    """The top layer's outputs where no step waits for the attention of the one before."""

    def step(memory, x):
        x, masks = x
        memory = run_cells(stack, memory, jnp.concatenate([x, fixed], -1), masks)
        return memory, memory[-1][-1]

    return jax.lax.scan(step, start, xs)[1]
