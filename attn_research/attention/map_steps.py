"""Runs many steps at once without storing the wide arrays inside them."""

from collections.abc import Callable, Iterable
from typing import Any

import jax
from jax.extend.core import Jaxpr, jaxprs_in_params

MAX_EXPANSION = 16  # a step that computes more than this many times the entries of its inputs and outputs is wide


def map_steps(step: Callable, *args: Any) -> Any:
    """Returns `jax.vmap(step)(*args)`, which turns matrix-vector products into one product of matrices.

    A wide step, such as concat's with its tanh [b s a], runs for one target step after another, and again in the
    backward pass. So its wide arrays are never stored, and never computed for several target steps together.
    """
    if not _is_wide(step, *args):
        return jax.vmap(step)(*args)
    return jax.lax.map(lambda step_arguments: jax.checkpoint(step)(*step_arguments), args)


def _is_wide(step: Callable, *args: Any) -> bool:
    """Whether a second target step adds many entries. Arrays that all target steps share add none."""
    one, two = (_trace(step, steps, args) for steps in (1, 2))
    io_entries = _sum_sizes((*one.invars, *one.outvars))
    return _count_entries(two) - _count_entries(one) > MAX_EXPANSION * io_entries


def _trace(step: Callable, steps: int, args: Any) -> Jaxpr:
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct((steps, *x.shape[1:]), x.dtype), args)
    return jax.make_jaxpr(jax.vmap(step))(*shapes).jaxpr


def _count_entries(jaxpr: Jaxpr) -> int:
    """Returns the entries of all arrays that it computes, also inside its operations."""
    own = sum(_sum_sizes(equation.outvars) for equation in jaxpr.eqns)
    return own + sum(_count_entries(inner) for equation in jaxpr.eqns for inner in jaxprs_in_params(equation.params))


def _sum_sizes(variables: Iterable[Any]) -> int:
    """Returns the entries of variables, all of which are arrays."""
    return sum(variable.aval.size for variable in variables)
