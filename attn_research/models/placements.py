"""Placements: the order of layers and attention in a decoder step; s' and c' are the last step's states and context.

`placement(builder, **hyper)` builds the layers and returns one step, `(attend, step_input) -> (cells, h, attended)`:
the new states of the layers, the state that the combination reads, and the output of the attention, `attend(query)`.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from attn_research.errors import UserError
from attn_research.registry import Registry

# waits: a layer reads the context, so the layers cannot run through the whole target before the attention does.
placements = Registry("placement", waits=True)


class StepInput(NamedTuple):
    """The inputs of a step."""

    cells: tuple[tuple[Array, ...], ...]  # s' of every layer, the lowest first
    symbol: Float[Array, "b e"]  # y, the vector of the last symbol
    feedback: Float[Array, "b f"]  # the vector that input feeding adds
    context: Float[Array, "b v"]  # c'
    masks: Float[Array, "l b h"] | None  # dropout between the layers, in training


class AttentionOutput(NamedTuple):
    """The attention's output for one query."""

    context: Float[Array, "b v"]
    weights: Float[Array, "b s"]
    history: Any


class LayerBuilder(NamedTuple):
    """Builds the layers of a decoder, whose sizes depend on the placement."""

    cell: Callable  # (name, input size) -> cell
    layers: int
    inputs: int  # size of [y; fed]
    context: int
    hidden: int

    def first(self, extra: int = 0) -> Callable:
        """Returns the lowest layer, (state, *inputs) -> state. It reads [y; fed] and `extra` more entries."""
        cell = self.cell("layer_0", self.inputs + extra)
        return lambda state, *inputs: cell(state, jnp.concatenate(inputs, -1))

    def upper(self, extra: int = 0) -> Callable:
        """Returns the upper layers, (step_input, h, *inputs) -> states. Each reads the lower one and `extra` more."""
        cells = [self.cell(f"layer_{layer}", self.hidden + extra) for layer in range(1, self.layers)]

        def run_upper(step_input, h, *inputs):
            states = []
            for layer, (cell, state) in enumerate(zip(cells, step_input.cells[1:], strict=True)):
                h = h if step_input.masks is None else h * step_input.masks[layer]
                states.append(cell(state, jnp.concatenate([h, *inputs], -1)))
                h = states[-1][-1]
            return tuple(states)

        return run_upper

    def require_upper_layers(self, choice: str) -> None:
        """Rejects `choice` if there is one layer."""
        if self.layers == 1:
            raise UserError(f"{choice} has no effect with one decoder layer; set model.decoder.layers to 2 or more")


@placements.register(waits=False)
def after(builder: LayerBuilder) -> Callable:
    """s = layers(s', [y; fed]); c = att(s)   (Luong et al. 2015; Sockeye, OpenNMT-py, Joey NMT, fairseq)."""
    first, upper = builder.first(), builder.upper()

    def step(attend, step_input):
        s = first(step_input.cells[0], step_input.symbol, step_input.feedback)
        cells = (s, *upper(step_input, s[-1]))
        return cells, cells[-1][-1], attend(cells[-1][-1])

    return step


@placements.register
def before(
    builder: LayerBuilder, query: Literal["top", "bottom"] = "top", output: Literal["new", "old"] = "new"
) -> Callable:
    """c = att(s'); s = layers(s', [y; c; fed])   (Bahdanau et al. 2015, eq. 4-6).

    `query` is the layer whose state is the query; in ESPnet it is the lowest. `output` is the state that the
    combination reads. Bahdanau's deep output reads the old one, s' (appendix A.2.2), so it needs y too.
    """
    if query == "bottom":
        builder.require_upper_layers("placement 'before(query=\"bottom\")'")
    first, upper = builder.first(builder.context), builder.upper()
    query_layer = {"top": -1, "bottom": 0}[query]

    def step(attend, step_input):
        attended = attend(step_input.cells[query_layer][-1])
        s = first(step_input.cells[0], step_input.symbol, attended.context, step_input.feedback)
        cells = (s, *upper(step_input, s[-1]))
        return cells, {"new": cells, "old": step_input.cells}[output][-1][-1], attended

    return step


@placements.register
def between(builder: LayerBuilder) -> Callable:
    """s~ = cell(s', [y; fed]); c = att(s~); s = transition(s~, c)   (conditional GRU, Sennrich et al. 2017: Nematus).

    This is the lowest layer. The layers above read s.
    """
    first, transition, upper = builder.first(), builder.cell("transition", builder.context), builder.upper()

    def step(attend, step_input):
        middle = first(step_input.cells[0], step_input.symbol, step_input.feedback)
        attended = attend(middle[-1])
        s = transition(middle, attended.context)
        cells = (s, *upper(step_input, s[-1]))
        return cells, cells[-1][-1], attended

    return step


@placements.register
def bottom(builder: LayerBuilder, context: Literal["previous", "current"] = "previous") -> Callable:
    """s_0 = cell(s_0', [y; fed]); c = att(s_0); s_l = cell(s_l', [s_{l-1}; c' or c]) above   (GNMT, Wu et al. 2016).

    In tensorflow/nmt, `gnmt` passes the previous context to the upper layers. `gnmt_v2` passes the current one, like
    Sockeye with attention in upper layers. Both have input_feeding context and combination none. GNMT's paper passes
    the previous context too, but attends at the first step, where tensorflow/nmt has c' = 0.
    """
    builder.require_upper_layers("placement 'bottom'")
    first, upper = builder.first(), builder.upper(builder.context)

    def step(attend, step_input):
        s = first(step_input.cells[0], step_input.symbol, step_input.feedback)
        attended = attend(s[-1])
        cells = (s, *upper(step_input, s[-1], {"previous": step_input.context, "current": attended.context}[context]))
        return cells, cells[-1][-1], attended

    return step
