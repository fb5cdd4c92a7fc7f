"""Tests whether two rows of a table differ: Welch's t-test over seeds and test items, corrected for many pairs.

Also estimates the smallest difference that such a test can find.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

POWER = 0.8  # with which the smallest detectable difference is found
QUANTILES = 40  # of the sample variance of each row, over which the power is averaged


class DifferenceTest(NamedTuple):
    """The two-sided t-test of the difference between two rows."""

    mean: float
    error: float  # standard error of the mean
    freedom: float  # degrees of freedom
    p: float
    corrected: float = math.nan  # p after Holm's correction within a family of tests


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
    from scipy import special  # slow to import, and training needs only the metrics

    parts = np.array([variance / n for variance, n in seeds])
    error = math.sqrt(parts.sum() + items)
    freedom = float(_degrees_of_freedom(parts, [n for _, n in seeds], item_count))
    p = 2 * float(special.stdtr(freedom, -abs(mean) / error)) if error else float(mean == 0)
    return DifferenceTest(mean, error, freedom, p)


def _degrees_of_freedom(parts: np.ndarray, counts: Sequence[int], item_count: int) -> np.ndarray:
    """Returns Welch's degrees of freedom; those of the items where all seeds give the same.

    Args:
      parts: the variance over seeds divided by the number of seeds, for both rows, [2, ...].
      counts: the number of seeds of both rows.
      item_count: the number of test items.
    """
    spread = np.square(parts[0]) / (counts[0] - 1) + np.square(parts[1]) / (counts[1] - 1)
    of_items = np.full(np.shape(spread), max(item_count - 1.0, 1.0))
    return np.divide(np.square(parts.sum(axis=0)), spread, out=of_items, where=np.greater(spread, 0))


def detectable(seeds: Sequence[tuple[float, int]], items: float, item_count: int, level: float) -> float:
    """Returns the smallest true difference between two rows that `welch` finds at `level` with 80 % power.

    A test with few seeds rarely has the true variances. It has too small an error or too few degrees of freedom. The
    power is therefore averaged over the distribution of both sample variances.

    Args:
      seeds: the true variance over seeds and the number of seeds, for both rows.
      items: the variance of the difference over drawn test items.
      item_count: the number of test items.
      level: the largest p that counts as found.
    """
    from scipy import optimize, special

    error = math.sqrt(sum(variance / n for variance, n in seeds) + items)
    if error == 0:
        return 0.0
    shares = (np.arange(QUANTILES) + 0.5) / QUANTILES
    (a, n_a), (b, n_b) = ((variance / n * _variance_quantiles(shares, n), n) for variance, n in seeds)
    parts = np.stack(np.meshgrid(a, b))
    freedom = _degrees_of_freedom(parts, (n_a, n_b), item_count)
    critical = -special.stdtrit(freedom, level / 2) * np.sqrt(parts.sum(axis=0) + items)

    def excess_power(difference: float) -> float:
        return float(special.ndtr((difference - critical) / error).mean()) - POWER

    return float(optimize.brentq(excess_power, 0, critical.max() + 9 * error, xtol=1e-5 * error))


def typical_variance(seeds: Sequence[tuple[float, int]]) -> float:
    """Estimates the true variance over seeds of a typical row: the median over rows, corrected for few seeds.

    The median of sample variances with few degrees of freedom is below the true variance: 0.69 of it with three seeds.
    Each variance is divided by the expected median of as many rows with variance 1.

    Args:
      seeds: the variance over seeds and the number of seeds of every row.
    """
    rows = len(seeds)
    middle = np.array([(rows + 1) // 2, rows // 2 + 1])  # one rank, or two if the number of rows is even
    shares = (middle - 1 / 3) / (rows + 1 / 3)  # median quantile of a rank
    return float(np.median([variance / _variance_quantiles(shares, n).mean() for variance, n in seeds]))


def _variance_quantiles(shares: np.ndarray, n: int) -> np.ndarray:
    """Returns quantiles of the sample variance of n normal values with variance 1."""
    from scipy import special

    return 2 * special.gammaincinv((n - 1) / 2, shares) / (n - 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Returns the p-values of a family after Holm's step-down correction, in their order   (Holm 1979)."""
    p = np.asarray(p_values, float)
    order = np.argsort(p, kind="stable")
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return corrected.tolist()
