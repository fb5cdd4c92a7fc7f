"""What a variant computes on a trial, and how two results are compared."""

from typing import Any, NamedTuple

import jax
import numpy as np

TOLERANCE = 1e-6  # of float64 sums; a variant may have rounded its part to float32
MAX_ENTRIES = 6  # a message shows arrays up to this size whole


class Point(NamedTuple):
    """The arguments of a gradient."""

    params: Any
    states: Any  # [b s h]
    queries: Any  # [t b q]


class CompiledRun(NamedTuple):
    """The results of the compiled program."""

    contexts: Any  # [t b v]
    weights: Any  # [t b s]
    all_steps: Any  # contexts and weights of all steps at once; None for a variant that reads earlier steps
    value: Any  # a linear function of the contexts
    gradient: Point  # of `value`


class EagerRun(NamedTuple):
    """The results of the first steps, computed operation by operation."""

    contexts: Any  # [t b v]
    weights: Any  # [t b s]
    histories: Any  # of every head, before the first step and after the last


def select_rows(run: CompiledRun | EagerRun, rows: Any) -> EagerRun:
    """Returns the results for some rows of the batch."""
    return EagerRun(run.contexts[:, rows], run.weights[:, rows], None)


def compare_runs(actual: CompiledRun | EagerRun, expected: CompiledRun | EagerRun) -> str | None:
    """Returns the first difference between two runs, in the steps that both computed; None if they agree."""
    steps = min(len(actual.weights), len(expected.weights))
    violation = compare_arrays("weights", actual.weights[:steps], expected.weights[:steps])
    return violation or compare_arrays("contexts", actual.contexts[:steps], expected.contexts[:steps])


def compare_gradients(actual: Any, expected: Any) -> str | None:
    """Returns the first difference between two gradients; None if they agree."""
    pairs = zip(jax.tree.leaves_with_path(actual), jax.tree.leaves(expected), strict=True)
    violations = (compare_arrays(f"gradient of {path_name(path)}", a, b) for (path, a), b in pairs)
    return next(filter(None, violations), None)


def compare_arrays(label: str, actual: Any, expected: Any) -> str | None:
    """Returns the first difference between two arrays of one shape; None if they agree.

    Args:
      label: name of the arrays in the sentence that is returned.
      actual: the array to check. NaN agrees with NaN: another law rejects it.
      expected: the array to compare with, to TOLERANCE.
    """
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    wrong = ~np.isclose(actual, expected, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
    if not wrong.any():
        return None
    index, name = locate_first(label, wrong)
    return f"{name}: {format_array(actual[index])} instead of {format_array(expected[index])}"


def locate_first(label: str, wrong: np.ndarray) -> tuple[tuple[int, ...], str]:
    """Returns index and name of the first row that has a true entry; of the entry itself if rows are long."""
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    index = index if wrong.shape[-1:] > (MAX_ENTRIES,) else index[:-1]
    if label not in ("weights", "contexts"):
        return index, f"{label}{list(index) if index else ''}"
    return index, f"{label} of " + ", ".join(
        f"{name} {i}" for name, i in zip(("step", "row", "entry"), index, strict=False)
    )


def format_array(array: Any) -> str:
    """Returns an array as text with four decimals."""
    return np.array2string(np.asarray(array, np.float64), precision=4, suppress_small=True)


def path_name(path: tuple) -> str:
    """Returns the path of a leaf in a tree, as in score/W."""
    keys = (getattr(key, "key", getattr(key, "name", None)) for key in path)
    return "/".join(str(key) for key in keys if key != "params")
