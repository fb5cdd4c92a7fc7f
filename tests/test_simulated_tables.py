"""Simulated tables with known truth: coverage of intervals, false differences, and power at the detectable difference.

The limits are the claims of `attn_research.metrics.statistics` plus three standard errors of the simulation.
"""

import dataclasses

import numpy as np
import pytest
import scipy.stats

from attn_research.metrics import METRICS, Comparison, Scores, statistics
from attn_research.metrics.difference import detectable, typical_variance

UNBOUNDED = dataclasses.replace(METRICS["exact"], minimum=-np.inf, maximum=np.inf)


@pytest.fixture(autouse=True)
def few_replicates(monkeypatch):
    monkeypatch.setattr(statistics, "REPLICATES", 200)


def by_item(values):
    return Scores(tuple(range(len(values))), (values, np.ones_like(values)))


def standard_errors(share, trials):
    """Returns three standard errors of a share of `trials` simulations."""
    return 3 * np.sqrt(share * (1 - share) / trials)


def simulate(rng, rows, seeds, effect=0.0, spread=0.0, items=12):
    """Returns a comparison of rows that share the difficulty of items; the last row is better by `effect`.

    Args:
      spread: how much rows differ in their variance over seeds; 0: not at all.
    """
    difficulty = rng.normal(0, 0.3, items)
    by_seed = 0.05 * np.exp(rng.normal(0, spread, (rows, 1, 1)))
    noise = rng.normal(0, by_seed, (rows, seeds, 1)) + rng.normal(0, 0.03, (rows, seeds, items))
    noise[-1] += effect
    return Comparison(UNBOUNDED, {str(row): by_item(difficulty + own) for row, own in enumerate(noise)})


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize(
    ("by_seed", "by_item_", "by_both", "most"),
    [(0.1, 0.01, 0.01, 0.97), (0.01, 0.3, 0.1, 0.999), (0.05, 0.3, 0.3, 0.999)],
)
def test_intervals_cover_the_truth_as_often_as_claimed(seeds, by_seed, by_item_, by_both, most, monkeypatch):
    monkeypatch.setattr(statistics, "REPLICATES", 2000)
    rng, trials, items = np.random.default_rng(seeds), 400, 50
    noise = rng.normal(0, by_seed, (trials, seeds, 1)) + rng.normal(0, by_item_, (trials, 1, items))
    noise += rng.normal(0, by_both, (trials, seeds, items))
    tables = Comparison(UNBOUNDED, {str(trial): by_item(values) for trial, values in enumerate(noise)})
    intervals = [tables.interval(label) for label in tables.rows]
    covered = np.mean([low <= 0 <= high for low, high in intervals])
    assert 0.93 - standard_errors(0.93, trials) <= covered <= most + standard_errors(most, trials)


@pytest.mark.parametrize("spread", [0.0, 1.0])
@pytest.mark.parametrize(("rows", "seeds"), [(2, 3), (6, 3), (6, 10), (15, 10)])
def test_equal_rows_seldom_lose_their_dagger(rows, seeds, spread):
    rng, trials = np.random.default_rng(0), 300
    tables = (simulate(rng, rows, seeds, spread=spread) for _ in range(trials))
    false = np.mean([len(table.tied) < rows - 1 for table in tables])
    assert false <= 0.05 + standard_errors(0.05, trials)


@pytest.mark.parametrize(("rows", "seeds"), [(2, 3), (6, 3), (15, 3), (6, 10), (15, 10)])
def test_rows_at_the_detectable_difference_lose_their_dagger_with_80_percent_power(rows, seeds):
    rng, trials, best = np.random.default_rng(0), 200 if rows == 15 else 400, str(rows - 1)
    smallest = np.median([simulate(rng, rows, seeds).detectable() for _ in range(trials)])
    tables = [simulate(rng, rows, seeds, smallest) for _ in range(trials)]
    found = np.mean([table.best == best and 1 - len(table.tied) / (rows - 1) for table in tables])
    approximation = 0.05  # Holm's later steps find more, and a median of estimates has an error
    assert abs(found - 0.8) <= approximation + standard_errors(0.8, trials)


@pytest.mark.parametrize("level", [0.05, 0.05 / 105])
@pytest.mark.parametrize(
    ("variances", "seeds"), [((1, 1), (3, 3)), ((1, 9), (3, 3)), ((4, 1), (3, 5)), ((1, 1), (10, 10))]
)
def test_welchs_test_has_80_percent_power_at_the_detectable_difference(variances, seeds, level):
    rng, trials = np.random.default_rng(0), 20_000
    smallest = detectable(list(zip(variances, seeds, strict=True)), 0.0, 1, level)
    a, b = (rng.normal(0, np.sqrt(v), (trials, n)) for v, n in zip(variances, seeds, strict=True))
    found = np.mean(scipy.stats.ttest_ind(a + smallest, b, axis=1, equal_var=False).pvalue < level)
    integration = 0.01
    assert abs(found - 0.8) <= integration + standard_errors(0.8, trials)


@pytest.mark.parametrize("rows", [2, 3, 6, 15])
@pytest.mark.parametrize("seeds", [3, 10])
def test_the_typical_variance_is_right_in_the_median_table(rows, seeds):
    rng, trials = np.random.default_rng(0), 2000
    samples = rng.normal(size=(trials, rows, seeds)).var(axis=2, ddof=1)
    estimates = [typical_variance([(variance, seeds) for variance in table]) for table in samples]
    below, approximation = np.mean(np.less(estimates, 1)), 0.02  # with an even number of rows, the factor is not exact
    assert abs(below - 0.5) <= approximation + standard_errors(0.5, trials)
