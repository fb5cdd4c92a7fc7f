"""What a run computes with, compiled once for each padded shape and shared by all runs of one program."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from attn_research.config import Config, program_config
from attn_research.data.batching import Batch
from attn_research.models.seq2seq import Seq2Seq
from attn_research.runs.clock import Clock
from attn_research.training.evaluate import make_eval_step
from attn_research.training.flops import product_flops
from attn_research.training.step import make_train_step

MAX_PROGRAMS = 8  # programs that a process keeps: one takes 2,000 memory maps of the 65,530 that Linux allows


class CompiledFunction:
    """A jitted `(state, Batch) -> result`; the time that compiling takes is told apart."""

    def __init__(self, function: Callable):
        self._function = function
        self._traces, self._executables = {}, {}

    def __call__(self, clock: Clock, state: Any, batch: Batch) -> Any:
        shape = _shape(batch)
        if shape not in self._executables:
            traced = self._trace(clock, state, batch)
            with clock.part("compile"):
                self._executables[shape] = traced.lower().compile()
        return self._executables[shape](state, batch)

    def flops(self, clock: Clock, state: Any, batch: Batch) -> int:
        """Floating-point operations of the matrix products for a batch of this shape."""
        return product_flops(self._trace(clock, state, batch).jaxpr)

    def _trace(self, clock: Clock, state: Any, batch: Batch) -> jax.stages.Traced:
        shape = _shape(batch)
        if shape not in self._traces:
            with clock.part("compile"):
                self._traces[shape] = self._function.trace(state, batch)
        return self._traces[shape]


def _shape(batch: Batch) -> tuple:
    return batch.source.shape, batch.target.shape


class Program(NamedTuple):
    """The model of a run, and what is done with it."""

    model: Seq2Seq
    step: CompiledFunction  # (TrainState, Batch) -> TrainState, metrics
    eval_step: CompiledFunction  # (params, Batch) -> EvalOutput


def make_program(config: Config, source_size: int, target_size: int, aligned: bool = False) -> Program:
    """The program of a config; runs that differ in seed or learning rate get the same one, with what it has compiled.

    Args:
      source_size: of the source's vocabulary.
      target_size: of the target's.
      aligned: whether what the steps along the references attend to is compared with gold alignments.
    """
    return _make_program(program_config(config), source_size, target_size, aligned)


@functools.lru_cache(maxsize=MAX_PROGRAMS)
def _make_program(config: Config, source_size: int, target_size: int, aligned: bool) -> Program:
    model = Seq2Seq(config.model, source_size, target_size)
    eval_step = make_eval_step(model, config.decode, aligned)
    return Program(model, CompiledFunction(make_train_step(model, config.train)), CompiledFunction(eval_step))


def clear_programs() -> None:
    """Compiles everything anew the next time."""
    _make_program.cache_clear()
    jax.clear_caches()
