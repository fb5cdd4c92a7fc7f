"""Many steps at once, with no more memory than they need."""

from collections.abc import Callable
from typing import Any

import jax
from jax.extend.core import Jaxpr, jaxprs_in_params

MAX_EXPANSION = 16  # a step is wide that makes more than this many times the entries that it takes and gives


def map_steps(step: Callable, *args: Any) -> Any:
    """`jax.vmap(step)(*args)`, as one product of matrices where the step is one of a vector.

    A wide step, such as concat's with its [b s a] of tanh, runs for one step after another, and once more in the
    backward pass, so that nothing wide is kept, nor made for several steps together.
    """
    if not _is_wide(step, *args):
        return jax.vmap(step)(*args)
    return jax.lax.map(lambda step_arguments: jax.checkpoint(step)(*step_arguments), args)


def _is_wide(step: Callable, *args: Any) -> bool:
    """Whether a second step adds many entries to what the first one makes; what the steps share adds none."""
    one, two = (_trace(step, steps, args) for steps in (1, 2))
    io_entries = sum(variable.aval.size for variable in (*one.invars, *one.outvars))
    return _count_entries(two) - _count_entries(one) > MAX_EXPANSION * io_entries


def _trace(step: Callable, steps: int, args: Any) -> Jaxpr:
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct((steps, *x.shape[1:]), x.dtype), args)
    return jax.make_jaxpr(jax.vmap(step))(*shapes).jaxpr


def _count_entries(jaxpr: Jaxpr) -> int:
    """Of all arrays that it makes, those inside its operations too."""
    own = sum(variable.aval.size for equation in jaxpr.eqns for variable in equation.outvars)
    return own + sum(_count_entries(inner) for equation in jaxpr.eqns for inner in jaxprs_in_params(equation.params))
