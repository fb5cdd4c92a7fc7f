"""Finds the line of a user's file that breaks a law: computes the traced program one operation after another."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, JaxprEqn, Literal, jaxpr_as_fun

from attn_research.attention.guard import is_user_function
from attn_research.attention.laws.trial import Trial, functional
from attn_research.attention.scores import scores
from attn_research.registry import Spec
from attn_research.source_lines import Line, belongs, definition_of, file_of

Values = list[Any]  # arrays


class Operation(NamedTuple):
    """One operation of a traced program, with its values for each point that the program is computed at."""

    equation: JaxprEqn
    inputs: list[Values]
    outputs: list[Values]


def find_definition(trial: Trial) -> str | None:
    """Returns the first line of the user's function; None if no component is a user's."""
    own = _user_functions(trial)
    return f"{definition_of(own[0])}, {own[0].__name__}" if own else None


def find_nonfinite(trial: Trial) -> str | None:
    """Returns the line that makes the first NaN of a value or gradient; without NaN, the first infinity."""

    def value(point: Any) -> Any:
        contexts = trial.run_eagerly(trial.inputs._replace(point=point)).contexts
        return (contexts * functional(contexts.shape)).sum()

    first = {}
    for line, operation in _user_operations(trial, jax.value_and_grad(value), trial.inputs.point):
        for name, is_bad in (("NaN", np.isnan), ("inf", np.isinf)):
            if name not in first and _arises(operation, is_bad):
                first[name] = line
    actual = next(((name, first[name]) for name in ("NaN", "inf") if name in first), None)
    if actual is None:
        return find_definition(trial)
    name, line = actual
    return (
        f"{line}: in {line.code}, {name} arises; a padded position is all zeros, so keep roots, norms, logarithms "
        "and divisions away from zero, as by jnp.sqrt(x + 1e-6)"
    )


def find_mixing(trial: Trial) -> str | None:
    """Returns the line through which values of the padding reach other values."""
    noisy = trial.inputs.point._replace(states=trial.noisy_padding)
    program = lambda point: trial.run_eagerly(trial.inputs._replace(point=point)).weights  # noqa: E731
    for line, operation in _user_operations(trial, program, trial.inputs.point, noisy):
        if _differ(trial, operation.outputs) and not _differ(trial, operation.inputs):
            return (
                f"{line}: in {line.code}, the positions of a source are mixed, its padding among them; leave the "
                "padding out, in the function that is returned, by source_mask(history.lengths, keys.shape[1]) of "
                "attn_research.attention.history"
            )
    return find_definition(trial)


def find_length(trial: Trial) -> str | None:
    """Returns the line of `find_mixing`; if there is none, says that the function reads the padded length."""
    mixing, definition = find_mixing(trial), find_definition(trial)
    if mixing == definition:
        return f"{definition} reads the padded length; history.lengths has the real ones"
    return mixing


def _user_functions(trial: Trial) -> list[Callable]:
    components = list(trial.components.values())
    inner = [value for component in components for value in component.hyper.values() if isinstance(value, Spec)]
    return [bound.function for bound in (*components, *map(scores.bind, inner)) if is_user_function(bound.function)]


def _user_operations(trial: Trial, program: Callable, *points: Any) -> Iterator[tuple[Line, Operation]]:
    """Yields the operations that a line of a user's file makes, computed at each point."""
    files = [file for function in _user_functions(trial) if (file := file_of(function))]
    for operation in _operations(jax.make_jaxpr(program)(points[0]), *map(jax.tree.leaves, points)):
        if line := _line(operation.equation, files):
            yield line, operation


def _line(equation: JaxprEqn, files: list[str]) -> Line | None:
    frames: Sequence[Any] = equation.source_info.traceback.frames if equation.source_info.traceback else ()
    for frame in frames:
        if any(belongs(frame.file_name, file) for file in files):
            return Line(frame.file_name, frame.line_num)
    return None


def _operations(program: ClosedJaxpr, *points: Values) -> Iterator[Operation]:
    """Yields every operation of a program, computed at each point."""
    jaxpr = program.jaxpr
    variables = [variable for equation in jaxpr.eqns for variable in equation.outvars]
    info = jaxpr.debug_info._replace(result_paths=("",) * len(variables))
    everything = jaxpr_as_fun(ClosedJaxpr(jaxpr.replace(outvars=variables, debug_info=info), program.consts))
    known = []
    for leaves in points:
        start = zip([*jaxpr.constvars, *jaxpr.invars], [*program.consts, *leaves], strict=True)
        known.append(dict(start) | dict(zip(variables, everything(*leaves), strict=True)))
    for equation in jaxpr.eqns:
        inputs = [[_value(atom, values) for atom in equation.invars] for values in known]
        yield Operation(equation, inputs, [[values[atom] for atom in equation.outvars] for values in known])


def _value(atom: Any, values: dict) -> Any:
    return atom.val if isinstance(atom, Literal) else values[atom]


def _arises(operation: Operation, is_bad: Callable) -> bool:
    """Whether an output has a bad entry at the first point, and no input has one."""
    (inputs, *_), (outputs, *_) = operation.inputs, operation.outputs
    return any(_has(is_bad, x) for x in outputs) and not any(_has(is_bad, x) for x in inputs)


def _has(is_bad: Callable, x: Any) -> bool:
    x = np.asarray(x)
    return np.issubdtype(x.dtype, np.floating) and bool(is_bad(x).any())


def _differ(trial: Trial, runs: list[Values]) -> bool:
    """Whether values at two points differ on real positions."""
    pairs = ([_real(trial, np.asarray(x)) for x in both] for both in zip(*runs, strict=True))
    return any(a.dtype.kind in "fiub" and not np.allclose(a, b, equal_nan=True) for a, b in pairs)


def _real(trial: Trial, x: np.ndarray) -> np.ndarray:
    """Returns the values of an array on real positions; all values if it has no axis of positions."""
    rows, padded = trial.real_positions.shape
    if rows in x.shape and padded in x.shape:
        return np.moveaxis(x, (x.shape.index(rows), x.shape.index(padded)), (0, 1))[trial.real_positions]
    if rows * padded in x.shape:
        return np.moveaxis(x, x.shape.index(rows * padded), 0)[trial.real_positions.ravel()]
    return x
