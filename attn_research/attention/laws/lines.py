"""Which line of a user's file breaks a law: the traced program is computed one operation after another."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, JaxprEqn, Literal, jaxpr_as_fun

from attn_research.attention.guard import is_user_function
from attn_research.attention.laws.trial import Trial, functional
from attn_research.attention.scores import scores
from attn_research.registry import Spec
from attn_research.source_lines import Line, belongs, definition_of, file_of

Values = list[Any]  # arrays


def definition(trial: Trial) -> str | None:
    """Where the user's function begins, if one of the pieces is a user's."""
    own = _user_component(trial)
    return f"{definition_of(own[0])}, {own[0].__name__}" if own else None


def not_finite(trial: Trial) -> str | None:
    """The line that makes the first NaN of a value or gradient; else the first that makes an infinite number."""

    def value(point: Any) -> Any:
        contexts = trial.run_eagerly(trial.inputs._replace(point=point)).contexts
        return (contexts * functional(contexts.shape)).sum()

    first = {}
    for line, given, result in _lines(trial, jax.value_and_grad(value), trial.inputs.point):
        for name, is_bad in (("NaN", np.isnan), ("inf", np.isinf)):
            if name not in first and any(map(_any(is_bad), result[0])) and not any(map(_any(is_bad), given[0])):
                first[name] = line
    actual = next(((name, first[name]) for name in ("NaN", "inf") if name in first), None)
    if actual is None:
        return definition(trial)
    name, line = actual
    return (
        f"{line}: in {line.code}, {name} arises; a padded position is all zeros, so keep roots, norms, logarithms "
        "and divisions away from zero, as by jnp.sqrt(x + 1e-6)"
    )


def mixing(trial: Trial) -> str | None:
    """The line that lets what stands in the padding into something else."""
    noise = 10 * np.random.default_rng(3).normal(size=trial.inputs.point.states.shape)
    states = np.where(trial.real_positions[..., None], trial.inputs.point.states, noise)
    noisy = trial.inputs.point._replace(states=states)
    program = lambda point: trial.run_eagerly(trial.inputs._replace(point=point)).weights  # noqa: E731
    for line, given, result in _lines(trial, program, trial.inputs.point, noisy):
        if _differ(trial, result) and not _differ(trial, given):
            return (
                f"{line}: in {line.code}, the positions of a source are mixed, its padding among them; leave the "
                "padding out, in the function that is returned, by source_mask(history.lengths, keys.shape[1]) of "
                "attn_research.attention.history"
            )
    return definition(trial)


def length(trial: Trial) -> str | None:
    """The same; else that the padded length itself is read."""
    actual, start = mixing(trial), definition(trial)
    return f"{start} reads the padded length; history.lengths has the real ones" if actual == start else actual


def _user_component(trial: Trial) -> list[Callable]:
    components = list(trial.components.values())
    inner = [value for component in components for value in component.hyper.values() if isinstance(value, Spec)]
    return [bound.function for bound in (*components, *map(scores.bind, inner)) if is_user_function(bound.function)]


def _lines(trial: Trial, program: Callable, *points: Any) -> Iterator[tuple[Line, list[Values], list[Values]]]:
    """The operations that stand in a user's file: line, what they get and what they make, for each point."""
    files = [file_of(function) for function in _user_component(trial)]
    for operation, given, result in _computed(jax.make_jaxpr(program)(points[0]), *map(jax.tree.leaves, points)):
        if line := _line(operation, files):
            yield line, given, result


def _line(operation: JaxprEqn, files: list[str]) -> Line | None:
    frames = operation.source_info.traceback.frames if operation.source_info.traceback else ()
    for frame in frames:
        if any(belongs(frame.file_name, file) for file in files):
            return Line(frame.file_name, frame.line_num)
    return None


def _computed(program: ClosedJaxpr, *inputs: list) -> Iterator[tuple[JaxprEqn, list[Values], list[Values]]]:
    """Every operation with what it gets and makes, for each list of inputs."""
    jaxpr = program.jaxpr
    variables = [one for operation in jaxpr.eqns for one in operation.outvars]
    info = jaxpr.debug_info._replace(result_paths=("",) * len(variables))
    everything = jaxpr_as_fun(ClosedJaxpr(jaxpr.replace(outvars=variables, debug_info=info), program.consts))
    known = []
    for leaves in inputs:
        start = zip([*jaxpr.constvars, *jaxpr.invars], [*program.consts, *leaves], strict=True)
        known.append(dict(start) | dict(zip(variables, everything(*leaves), strict=True)))
    for operation in jaxpr.eqns:
        given = [[one.val if isinstance(one, Literal) else values[one] for one in operation.invars] for values in known]
        yield operation, given, [[values[one] for one in operation.outvars] for values in known]


def _any(is_bad: Callable) -> Callable:
    return lambda x: np.issubdtype(np.asarray(x).dtype, np.floating) and bool(is_bad(np.asarray(x)).any())


def _differ(trial: Trial, runs: list[Values]) -> bool:
    """Whether two runs have anything else on real positions."""
    pairs = ([_real(trial, np.asarray(x)) for x in both] for both in zip(*runs, strict=True))
    return any(a.dtype.kind in "fiub" and not np.allclose(a, b, equal_nan=True) for a, b in pairs)


def _real(trial: Trial, x: np.ndarray) -> np.ndarray:
    """What an array has on real positions; all of it, if it has no axis of positions."""
    rows, padded = trial.real_positions.shape
    if rows in x.shape and padded in x.shape:
        return np.moveaxis(x, (x.shape.index(rows), x.shape.index(padded)), (0, 1))[trial.real_positions]
    if rows * padded in x.shape:
        return np.moveaxis(x, x.shape.index(rows * padded), 0)[trial.real_positions.ravel()]
    return x
