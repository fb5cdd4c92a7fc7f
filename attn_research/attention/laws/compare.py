"""Where two results differ, in words."""

from typing import Any

import jax
import numpy as np

from attn_research.attention.laws.trial import CompiledRun, EagerRun

TOLERANCE = 1e-6  # of sums of float64 numbers, which a variant may have rounded to float32
MAX_ENTRIES = 6  # entries of an array that is shown whole


def format_array(array: Any) -> str:
    """An array as people read it."""
    return np.array2string(np.asarray(array, np.float64), precision=4, suppress_small=True)


def path_name(path: tuple) -> str:
    """A leaf's place in a tree, as in score/W."""
    keys = (getattr(key, "key", getattr(key, "name", None)) for key in path)
    return "/".join(str(key) for key in keys if key != "params")


def locate_first(label: str, wrong: np.ndarray) -> tuple[tuple[int, ...], str]:
    """Index and name of the first row with something wrong; of the entry, if rows are long."""
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    index = index if wrong.shape[-1:] > (MAX_ENTRIES,) else index[:-1]
    if label not in ("weights", "contexts"):
        return index, f"{label}{list(index) if index else ''}"
    return index, f"{label} of " + ", ".join(
        f"{name} {i}" for name, i in zip(("step", "row", "entry"), index, strict=False)
    )


def compare_arrays(label: str, actual: Any, expected: Any) -> str | None:
    """The first place where two arrays differ; that both are NaN is the concern of a law of its own."""
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    wrong = ~np.isclose(actual, expected, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
    if not wrong.any():
        return None
    index, where = locate_first(label, wrong)
    return f"{where}: {format_array(actual[index])} instead of {format_array(expected[index])}"


def compare_runs(actual: CompiledRun | EagerRun, expected: CompiledRun | EagerRun) -> str | None:
    """The first place where two runs differ, in the steps that both took."""
    steps = min(len(actual.weights), len(expected.weights))
    violation = compare_arrays("weights", actual.weights[:steps], expected.weights[:steps])
    return violation or compare_arrays("contexts", actual.contexts[:steps], expected.contexts[:steps])


def compare_gradients(actual: Any, expected: Any) -> str | None:
    """The first place where two gradients differ."""
    pairs = zip(jax.tree.leaves_with_path(actual), jax.tree.leaves(expected), strict=True)
    violations = (compare_arrays(f"gradient of {path_name(path)}", a, b) for (path, a), b in pairs)
    return next(filter(None, violations), None)


def select_rows(run: CompiledRun | EagerRun, rows: Any) -> EagerRun:
    """What a run found for some rows."""
    return EagerRun(run.contexts[:, rows], run.weights[:, rows], None)
