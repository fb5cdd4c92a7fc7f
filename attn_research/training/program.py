"""The compiled functions of a run, which all runs of one program share, and their FLOPs."""

import functools
import math
from typing import Any, NamedTuple

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr

from attn_research.config import Config, program_config
from attn_research.data.batching import Batch
from attn_research.models.seq2seq import Seq2Seq
from attn_research.runs.clock import Clock
from attn_research.training.evaluate import make_eval_step
from attn_research.training.step import make_train_step

MAX_PROGRAMS = 8  # programs in the cache: one takes 2,000 of the 65,530 memory maps that Linux allows


class CompiledFunction:
    """A jitted `(state, Batch) -> result`, compiled once per padded shape. The clock counts compilation separately."""

    def __init__(self, function: jax.stages.Wrapped):
        self._function = function
        self._traces: dict[tuple, jax.stages.Traced] = {}
        self._executables: dict[tuple, jax.stages.Compiled] = {}

    def __call__(self, clock: Clock, state: Any, batch: Batch) -> Any:
        shape = _shape(batch)
        if shape not in self._executables:
            traced = self._trace(clock, state, batch)
            with clock.part("compile"):
                self._executables[shape] = traced.lower().compile()
        return self._executables[shape](state, batch)

    def flops(self, clock: Clock, state: Any, batch: Batch) -> int:
        """Returns the floating-point operations of the matrix products for a batch of this shape."""
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
    """The model of a run and its compiled functions."""

    model: Seq2Seq
    step: CompiledFunction  # (TrainState, Batch) -> TrainState, metrics
    eval_step: CompiledFunction  # (params, Batch) -> EvalOutput


def make_program(
    config: Config, source_size: int, target_size: int, aligned: bool = False, word_aligned: bool = False
) -> Program:
    """Returns the program of a config. Runs that differ in seed or learning rate share one.

    Args:
      source_size: size of the source vocabulary.
      target_size: size of the target vocabulary.
      aligned: whether an evaluation also returns the attended positions, to compare them with gold alignments.
      word_aligned: whether an evaluation also returns the attention weights, for alignments of words.
    """
    return _make_program(program_config(config), source_size, target_size, aligned, word_aligned)


@functools.lru_cache(maxsize=MAX_PROGRAMS)
def _make_program(config: Config, source_size: int, target_size: int, aligned: bool, word_aligned: bool) -> Program:
    model = Seq2Seq(config.model, source_size, target_size)
    eval_step = make_eval_step(model, config.decode, aligned, word_aligned)
    return Program(model, CompiledFunction(make_train_step(model, config.train)), CompiledFunction(eval_step))


def clear_programs() -> None:
    """Drops all compiled programs of this process."""
    _make_program.cache_clear()
    jax.clear_caches()


def product_flops(jaxpr: ClosedJaxpr | Jaxpr) -> int:
    """Returns the floating-point operations of all matrix products and convolutions: 2 per multiply-add.

    The body of a scan counts once per iteration, the body of a while loop once.
    """
    inner = jaxpr.jaxpr if isinstance(jaxpr, ClosedJaxpr) else jaxpr
    return sum(_equation_flops(equation) for equation in inner.eqns)


def _equation_flops(equation: Any) -> int:
    shapes = [variable.aval.shape for variable in equation.invars]
    if equation.primitive.name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        return 2 * math.prod(equation.outvars[0].aval.shape) * math.prod(shapes[0][axis] for axis in contracted)
    if equation.primitive.name == "conv_general_dilated":
        outputs = shapes[1][equation.params["dimension_numbers"].rhs_spec[0]]
        return 2 * math.prod(equation.outvars[0].aval.shape) * math.prod(shapes[1]) // outputs
    times = equation.params["length"] if equation.primitive.name == "scan" else 1
    parts = [part for value in equation.params.values() for part in (value if isinstance(value, tuple) else (value,))]
    return times * sum(product_flops(part) for part in parts if isinstance(part, ClosedJaxpr | Jaxpr))
