"""Where two results differ, in words."""

from typing import Any

import jax
import numpy as np

from attn_research.attention.laws.trial import Outcome, Walk

TOLERANCE = 1e-6  # of sums of float64 numbers, which a variant may have rounded to float32
SHOWN = 6  # entries of an array that is shown whole


def shown(array: Any) -> str:
    """An array as people read it."""
    return np.array2string(np.asarray(array, np.float64), precision=4, suppress_small=True)


def named(path: tuple) -> str:
    """A leaf's place in a tree, as in score/W."""
    keys = (getattr(key, "key", getattr(key, "name", None)) for key in path)
    return "/".join(str(key) for key in keys if key != "params")


def first(what: str, wrong: np.ndarray) -> tuple[tuple[int, ...], str]:
    """Index and name of the first row with something wrong; of the entry, if rows are long."""
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    index = index if wrong.shape[-1:] > (SHOWN,) else index[:-1]
    if what not in ("weights", "contexts"):
        return index, f"{what}{list(index) if index else ''}"
    return index, f"{what} of " + ", ".join(
        f"{name} {i}" for name, i in zip(("step", "row", "entry"), index, strict=False)
    )


def unequal(what: str, found: Any, expected: Any) -> str | None:
    """The first place where two arrays differ; that both are NaN is the concern of a law of its own."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    wrong = ~np.isclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
    if not wrong.any():
        return None
    index, where = first(what, wrong)
    return f"{where}: {shown(found[index])} instead of {shown(expected[index])}"


def unlike(found: Outcome | Walk, expected: Outcome | Walk) -> str | None:
    """The first place where two runs differ, in the steps that both took."""
    steps = min(len(found.weights), len(expected.weights))
    case = unequal("weights", found.weights[:steps], expected.weights[:steps])
    return case or unequal("contexts", found.contexts[:steps], expected.contexts[:steps])


def other_gradient(found: Any, expected: Any) -> str | None:
    """The first place where two gradients differ."""
    pairs = zip(jax.tree.leaves_with_path(found), jax.tree.leaves(expected), strict=True)
    cases = (unequal(f"gradient of {named(path)}", a, b) for (path, a), b in pairs)
    return next(filter(None, cases), None)


def rows_of(run: Outcome | Walk, rows: Any) -> Walk:
    """What a run found for some rows."""
    return Walk(run.contexts[:, rows], run.weights[:, rows], None)
