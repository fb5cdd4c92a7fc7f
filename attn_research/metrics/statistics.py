"""95 % bootstrap confidence intervals and paired comparisons between the rows of a table.

The bootstrap is hierarchical, over test items and seeds. One replicate draws test items with replacement, the same ones
for all seeds and rows, and computes every run's metric on them. It then draws seeds with replacement, the same ones for
all rows with the same seeds (in every row, a seed means the same initial values and batches). A row's number is the
mean over its seeds. An interval is the middle 95 % of 2,000 replicates.

Assumptions: items are independent, seeds are independent, and the training set is fixed. The interval does not cover
other training data.

A bootstrap over a few seeds alone is too narrow: the range of three seeds holds the true mean in only 75 of 100 cases.
So the distance between the mean over all seeds and the mean over the drawn seeds is multiplied by
sqrt(n / (n - 1)) * t / z. The interval is then as wide as Student's for n seeds. On simulated normal seeds and items it
holds the true mean in 93 to 99.9 of 100 cases. It is too wide if runs err on different items, since the spread of the
seeds already contains that noise.

With fewer than three seeds only items are drawn, so the interval does not cover other seeds. If every run is correct on
every item, the interval is one point.

The best row has the best mean. A table's marks compare every other row with it by Welch's t-test, after Holm's
correction for all pairs of rows. The comparisons with the best row alone are too small a family: the best row is
selected by the same numbers, which makes its differences larger than those of a row that was named before. With all
pairs, the chance that any row is falsely marked as different is at most 5 %.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from attn_research.errors import UserError
from attn_research.metrics.difference import DifferenceTest, detectable, holm, typical_variance, welch
from attn_research.metrics.metric import Metric

REPLICATES = 2000
LEVEL = 0.95
MIN_SEEDS = 3  # with fewer, rows are not compared
CHUNK = 100  # replicates in memory at once
NUMBER = (0.0, 2)  # variance over seeds, and seeds, of a number: it adds no variance, so their count plays no role


@dataclass(frozen=True)
class Scores:
    """The runs of one row: their seeds and the parts of a metric."""

    seeds: tuple[int, ...]
    parts: tuple[np.ndarray, ...]  # of the metric, [seed, item]; its value, [seed, 1], if items are unknown
    by_item: bool = True

    @classmethod
    def without_items(cls, seeds: tuple[int, ...], values) -> "Scores":
        """Returns scores of which only the metric's `values` [seed] are known."""
        return cls(seeds, (np.asarray(values, float)[:, None],), by_item=False)


@dataclass(frozen=True)
class Comparison:
    """The rows of one column of a table, on the same test items.

    Raises:
      UserError: the rows have different numbers of items.
    """

    metric: Metric
    rows: Mapping[str, Scores]

    def __post_init__(self):
        sizes = {label: scores.parts[0].shape[1] for label, scores in self.rows.items() if scores.by_item}
        if len(set(sizes.values())) > 1:
            sizes_text = ", ".join(f"{label!r} has {size}" for label, size in sizes.items())
            raise UserError(f"rows can only be compared on the same test items, but {sizes_text}")

    @cached_property
    def means(self) -> dict[str, float]:
        """The mean over seeds of each row."""
        return {label: float(np.mean(self._finish(s, _sums(s)))) for label, s in self.rows.items()}

    @cached_property
    def best(self) -> str:
        """The row with the best mean."""
        known = {label: mean for label, mean in self.means.items() if not np.isnan(mean)}
        return (min if self.metric.lower_is_better else max)(known or self.means, key=self.means.__getitem__)

    def interval(self, label: str) -> tuple[float, float] | None:
        """The 95 % bootstrap confidence interval of a row's mean.

        None if there is nothing to draw, or the metric is nan in a replicate.
        """
        scores = self.rows[label]
        if not scores.by_item and not has_enough_seeds(scores):
            return None
        interval = _percentile_interval(self.replicates[label])
        return interval and (max(interval[0], self.metric.minimum), min(interval[1], self.metric.maximum))

    def difference(self, a: str, b: str) -> tuple[float, float] | None:
        """The 95 % bootstrap confidence interval of `a` minus `b`.

        None with fewer than three seeds in either, or if one is nan in a replicate.
        """
        if not (has_enough_seeds(self.rows[a]) and has_enough_seeds(self.rows[b])):
            return None
        return _percentile_interval(self.replicates[a] - self.replicates[b])

    @cached_property
    def pair_tests(self) -> dict[tuple[str, str], DifferenceTest]:
        """The test of every pair of rows with enough seeds, after Holm's correction for all of these pairs."""
        pairs = itertools.combinations(self._seed_variances, 2)
        tests = {pair: test for pair in pairs if (test := self.difference_test(*pair)) is not None}
        corrected = holm([test.p for test in tests.values()])
        return {pair: test._replace(corrected=p) for (pair, test), p in zip(tests.items(), corrected, strict=True)}

    @cached_property
    def tied(self) -> frozenset[str]:
        """The rows that are not distinguishable from the best row: the corrected p is at least 5 %."""
        tests = {pair: test for pair, test in self.pair_tests.items() if self.best in pair}
        return frozenset(
            label for pair, test in tests.items() if test.corrected >= 1 - LEVEL for label in pair if label != self.best
        )

    def detectable(self) -> float | None:
        """Estimates the smallest difference from the best row that a test finds with 80 % power.

        The estimate is for two rows with the typical variance over seeds (`difference.typical_variance`). It is too low
        if the best row varies much less than the others. The level is that of Holm's first step, 5 % divided by the
        number of pairs. None if no row is tested against the best row.
        """
        pairs = [pair for pair in self.pair_tests if self.best in pair]
        if not pairs:
            return None
        seeds = {label: count for label, (_, count) in self._seed_variances.items()}
        counts = (seeds.pop(self.best), int(np.median(list(seeds.values()))))
        variance = typical_variance(list(self._seed_variances.values()))
        items = float(np.median([self._item_variance(*pair) for pair in pairs]))
        level = (1 - LEVEL) / len(self.pair_tests)
        return detectable([(variance, count) for count in counts], items, self._item_count(self.best), level)

    def difference_test(self, a: str, b: str | float) -> DifferenceTest | None:
        """Tests whether the mean of `a` minus that of `b` is 0, without correction for other tests.

        Args:
          b: another row, or a number. With a number this is the one-sample t-test. If the metric is a share, its
            variance over items is at least that of a share `b`   (Wilson 1927).

        Returns:
          The test; None with fewer than three seeds in either row, or if one is nan in a replicate.
        """
        sides = self._sides(a, b)
        if sides is None:
            return None
        mean = self.means[a] - (self.means[b] if isinstance(b, str) else b)
        return welch(mean, *sides, self._item_count(a))

    def detectable_difference(self, a: str, b: str | float, level: float) -> float | None:
        """Estimates the smallest true difference of `a` and `b` that `difference_test` finds with 80 % power.

        Args:
          level: the largest p that counts as found.

        Returns:
          The difference; None if there is no test.
        """
        sides = self._sides(a, b)
        if sides is None:
            return None
        seeds = [(typical_variance([one]), one[1]) for one in sides[0]]
        return detectable(seeds, sides[1], self._item_count(a), level)

    def _sides(self, a: str, b: str | float) -> tuple[list[tuple[float, int]], float] | None:
        """Returns variance over seeds and number of seeds of `a` and `b`, and the variance of `a` - `b` over items.

        None if one of them cannot be tested.
        """
        rows = [side for side in (a, b) if isinstance(side, str)]
        if not all(row in self._seed_variances for row in rows):
            return None
        items = self._item_variance(a, b)
        if np.isnan(items):  # the metric is nan in a replicate
            return None
        if not isinstance(b, str):
            items = max(items, self._share_variance(a, b))
        return [self._seed_variances[side] if isinstance(side, str) else NUMBER for side in (a, b)], items

    @cached_property
    def _seed_variances(self) -> dict[str, tuple[float, int]]:
        """The variance over seeds and the number of seeds of every row that has enough seeds and no nan."""
        values = {label: self._finish(scores, _sums(scores)) for label, scores in self.rows.items()}
        return {
            label: (float(np.var(row, ddof=1)), len(row))
            for label, row in values.items()
            if has_enough_seeds(self.rows[label]) and np.isfinite(row).all()
        }

    def _share_variance(self, label: str, share: float) -> float:
        """Returns the largest variance over items of a mean share, 0 if the metric is no share.

        As in Wilson's score test it is that of the hypothesis. A row without a single error has no variance of its own.
        """
        is_share = self.rows[label].by_item and (self.metric.minimum, self.metric.maximum) == (0, 1)
        return share * (1 - share) / self._item_count(label) if is_share else 0.0

    def _item_variance(self, a: str, b: str | float) -> float:
        """Returns the variance of `a` minus `b` over drawn items; nan if one is nan in a replicate."""
        rows = [side for side in (a, b) if isinstance(side, str)]
        if not all(self.rows[row].by_item for row in rows):
            return 0.0
        return float(np.var(self._item_means[a] - (self._item_means[b] if isinstance(b, str) else b)))

    @cached_property
    def _item_means(self) -> dict[str, np.ndarray]:
        """The mean over all seeds on drawn items, [REPLICATES] for each row."""
        return {label: values.mean(axis=1) for label, values in self._draws[0].items()}

    def _item_count(self, label: str) -> int:
        return self.rows[label].parts[0].shape[1]

    @cached_property
    def replicates(self) -> dict[str, np.ndarray]:
        """The mean over seeds in every replicate, [REPLICATES] for each row."""
        by_seed, seeds = self._draws
        return {label: _resampled_means(by_seed[label], seeds[scores.seeds]) for label, scores in self.rows.items()}

    @cached_property
    def _draws(self) -> tuple[dict[str, np.ndarray], dict[tuple[int, ...], np.ndarray]]:
        """The metric on drawn items, [REPLICATES, seed] for each row, and the drawn seeds of each set of seeds."""
        rng = np.random.default_rng(0)
        sums = self._item_sums(rng)
        sets = dict.fromkeys(scores.seeds for scores in self.rows.values())
        seeds = {seed_set: rng.integers(len(seed_set), size=(REPLICATES, len(seed_set))) for seed_set in sets}
        by_seed = {label: self._finish(scores, sums[label]) for label, scores in self.rows.items()}
        return {label: np.broadcast_to(v, (REPLICATES, np.shape(v)[-1])) for label, v in by_seed.items()}, seeds

    def _finish(self, scores: Scores, sums: tuple[np.ndarray, ...]) -> np.ndarray:
        return self.metric.finish(*sums) if scores.by_item else sums[0]

    def _item_sums(self, rng: np.random.Generator) -> dict[str, tuple[np.ndarray, ...]]:
        """Returns sums over drawn items: for each row its parts, [REPLICATES, seed]."""
        sums = {label: _sums(scores) for label, scores in self.rows.items()}
        rows = {label: scores for label, scores in self.rows.items() if scores.by_item}
        if rows:
            columns = np.concatenate([part for s in rows.values() for part in s.parts])
            resampled = np.concatenate(list(_resampled_sums(columns.T.astype(float), rng)))
            edges = np.cumsum([len(s.seeds) * len(s.parts) for s in rows.values()])[:-1]
            of_rows = zip(rows.items(), np.split(resampled, edges, axis=1), strict=True)
            sums |= {label: tuple(np.split(row_sums, len(s.parts), axis=1)) for (label, s), row_sums in of_rows}
        return sums


def has_enough_seeds(scores: Scores) -> bool:
    """Whether a row has enough seeds for a comparison."""
    return len(scores.seeds) >= MIN_SEEDS


def widening_factor(seeds: int) -> float:
    """Returns the factor that makes a bootstrap interval over seeds as wide as Student's."""
    from scipy import special  # slow to import, and training needs only the metrics

    tail = (1 + LEVEL) / 2
    return float(np.sqrt(seeds / (seeds - 1)) * special.stdtrit(seeds - 1, tail) / special.ndtri(tail))


def _sums(scores: Scores) -> tuple[np.ndarray, ...]:
    return tuple(part.sum(axis=1) for part in scores.parts)


def _resampled_sums(columns: np.ndarray, rng: np.random.Generator):
    """Yields [CHUNK, column] sums of `columns` [item, column] over items drawn with replacement."""
    items = len(columns)
    offsets = np.arange(CHUNK)[:, None] * items
    for _ in range(REPLICATES // CHUNK):
        indices = rng.integers(items, size=(CHUNK, items)) + offsets
        counts = np.bincount(indices.ravel(), minlength=CHUNK * items).reshape(CHUNK, items)
        yield counts.astype(float) @ columns


def _resampled_means(values: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Returns the mean over drawn seeds, widened, [REPLICATES].

    Args:
      values: the metric of each seed, [seed] or [REPLICATES, seed].
      indices: the drawn seeds, [REPLICATES, seed].
    """
    replicates, seeds = indices.shape
    values = np.broadcast_to(values, (replicates, seeds))
    center = values.mean(axis=1)
    if seeds < MIN_SEEDS:
        return center
    return center + widening_factor(seeds) * (np.take_along_axis(values, indices, axis=1).mean(axis=1) - center)


def _percentile_interval(replicates: np.ndarray) -> tuple[float, float] | None:
    if np.isnan(replicates).any():
        return None
    low, high = np.quantile(replicates, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
