"""Checks that two sides compute the same function: one writes its arrays, the other compares before it is timed."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

TOLERANCE = 1e-4  # largest allowed difference, relative to the largest entry of an array
# Smaller arrays are sums that cancel, accurate only to this share of the largest entry of all arrays.
CANCELLATION = 1e-6
STEPS = 3  # training steps whose losses must agree, so that clipping and Adam are compared too
Arrays = Mapping[str, np.ndarray]


def write(directory: Path, **groups: Arrays) -> None:
    """Writes groups of arrays, for example `write(directory, parameters={...}, gradients={...})`."""
    arrays = {f"{group}:{name}": array for group, members in groups.items() for name, array in members.items()}
    np.savez(directory / "same.npz", **arrays)


def read(directory: Path) -> dict[str, dict[str, np.ndarray]]:
    """Reads the groups that `write` wrote, as `{group: {name: array}}`."""
    groups: dict[str, dict[str, np.ndarray]] = {}
    with np.load(directory / "same.npz") as file:
        for key in file.files:
            group, _, name = key.partition(":")
            groups.setdefault(group, {})[name] = file[key]
    return groups


def require_close(label: str, expected: Arrays, actual: Arrays) -> float:
    """Returns the largest relative difference between arrays of the same names.

    Args:
      label: the quantity that is compared, for the error message.

    Raises:
      ValueError: the names differ, or an array differs by more than TOLERANCE.
    """
    if set(expected) != set(actual):
        raise ValueError(f"{label}: the two sides differ in {', '.join(sorted(set(expected) ^ set(actual)))}")
    smallest_scale = CANCELLATION * max(np.abs(array).max() for array in expected.values())
    differences = {
        name: float(np.abs(array - actual[name]).max() / max(np.abs(array).max(), smallest_scale))
        for name, array in expected.items()
    }
    worst = max(differences, key=differences.get)
    if not differences[worst] <= TOLERANCE:
        raise ValueError(
            f"{label}: the two sides do not compute the same function; {worst} differs by {differences[worst]:.1e} of "
            f"its largest entry, and {TOLERANCE:.0e} is allowed"
        )
    return differences[worst]
