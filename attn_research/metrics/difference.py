"""Tests whether two rows of a table differ: Welch's t-test over seeds and test items, corrected for many pairs."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

POWER = 0.8  # with which the smallest detectable difference is found


class DifferenceTest(NamedTuple):
    """The two-sided t-test of the difference between two rows."""

    mean: float
    error: float  # standard error of the mean
    freedom: float  # degrees of freedom
    p: float
    corrected: float = math.nan  # p after Holm's correction within a family of tests

    def detectable(self, level: float) -> float:
        """Returns the smallest true difference that a test at `level` finds with 80 % power; inf if beyond reach."""
        from scipy import special  # slow to import, and training needs only the metrics

        if self.error == 0:
            return 0.0
        critical = -special.stdtrit(self.freedom, level / 2)
        shift = special.nctdtrinc(self.freedom, 1 - POWER, critical)
        return float(shift * self.error) if np.isfinite(shift) else math.inf


def welch(mean: float, seeds: Sequence[tuple[float, int]], items: float, item_count: int) -> DifferenceTest:
    """Tests whether the mean difference `mean` is 0   (Welch 1947).

    The variance over test items is added to that over seeds, but not to its degrees of freedom: a few seeds that agree
    by chance would look certain.

    Args:
      mean: of the first row minus the second one.
      seeds: the variance over seeds and the number of seeds, for both rows.
      items: the variance of `mean` over drawn test items.
      item_count: the number of test items.
    """
    from scipy import special

    parts = [(variance / n, n - 1) for variance, n in seeds]
    over_seeds = sum(part for part, _ in parts)
    error = math.sqrt(over_seeds + items)
    spread = sum(part**2 / own for part, own in parts)
    freedom = over_seeds**2 / spread if spread else max(item_count - 1, 1)  # if all seeds give the same, of the items
    p = 2 * float(special.stdtr(freedom, -abs(mean) / error)) if error else float(mean == 0)
    return DifferenceTest(mean, error, freedom, p)


def holm(p_values: Sequence[float]) -> list[float]:
    """Returns the p-values of a family after Holm's step-down correction, in their order   (Holm 1979)."""
    p = np.asarray(p_values, float)
    order = np.argsort(p, kind="stable")
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return corrected.tolist()
