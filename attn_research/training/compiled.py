"""Functions of a batch that are compiled once for each padded shape, with the time that takes told apart."""

from collections.abc import Callable
from typing import Any

import jax

from attn_research.data.batching import Batch
from attn_research.runs.clock import Clock
from attn_research.training.flops import product_flops


class Compiled:
    """A jitted `(state, Batch) -> result`."""

    def __init__(self, function: Callable, clock: Clock):
        self._function, self._clock = function, clock
        self._traced, self._ready = {}, {}

    def __call__(self, state: Any, batch: Batch) -> Any:
        shape = _shape(batch)
        if shape not in self._ready:
            traced = self._trace(state, batch)
            with self._clock.part("compile"):
                self._ready[shape] = traced.lower().compile()
        return self._ready[shape](state, batch)

    def flops(self, state: Any, batch: Batch) -> int:
        """Floating-point operations of the matrix products for a batch of this shape."""
        return product_flops(self._trace(state, batch).jaxpr)

    def _trace(self, state: Any, batch: Batch) -> jax.stages.Traced:
        shape = _shape(batch)
        if shape not in self._traced:
            with self._clock.part("compile"):
                self._traced[shape] = self._function.trace(state, batch)
        return self._traced[shape]


def _shape(batch: Batch) -> tuple:
    return batch.source.shape, batch.target.shape
