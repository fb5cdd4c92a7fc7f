"""Tests between all pairs of rows: equal to Welch's, corrected by Holm, and reliable on simulated rows."""

import dataclasses

import numpy as np
import pytest
import scipy.stats
from fake_runs import make_runs
from user_folder import user_folder  # noqa: F401 (a fixture)

from attn_research.cli import main
from attn_research.metrics import METRICS, Comparison, Scores
from attn_research.metrics.difference import holm

UNBOUNDED = dataclasses.replace(METRICS["exact"], minimum=-np.inf, maximum=np.inf)


def by_item(values):
    values = np.asarray(values, float)
    return Scores(tuple(range(len(values))), (values, np.ones_like(values)))


def test_a_difference_over_seeds_alone_equals_welchs():
    one, two = np.random.default_rng(0).normal(size=(2, 8)) * [[1], [3]]
    rows = {label: Scores.without_items(tuple(range(8)), values) for label, values in (("a", one), ("b", two))}
    test = Comparison(METRICS["loss"], rows).pair_tests["a", "b"]
    welch = scipy.stats.ttest_ind(one, two, equal_var=False)
    assert (test.p, test.freedom, test.corrected) == pytest.approx((welch.pvalue, welch.df, welch.pvalue))


def test_rows_without_spread_are_equal_or_differ():
    always, never = by_item(np.ones((3, 20))), by_item(np.zeros((3, 20)))
    comparison = Comparison(METRICS["exact"], {"a": always, "b": always, "c": never})
    assert {pair: test.corrected for pair, test in comparison.pair_tests.items()} == {
        ("a", "b"): 1, ("a", "c"): 0, ("b", "c"): 0,
    }  # fmt: skip
    assert comparison.detectable() == 0


def test_rows_with_two_seeds_are_not_tested():
    comparison = Comparison(METRICS["exact"], {"a": by_item(np.ones((2, 9))), "b": by_item(np.ones((3, 9)))})
    assert comparison.pair_tests == {} and comparison.detectable() is None


def test_a_row_that_is_nan_in_a_replicate_is_not_tested():
    values = np.arange(18.0).reshape(3, 6)
    counted = np.zeros((3, 6))
    counted[:, 0] = 1  # a replicate without the first item has nothing to count
    rows = {"a": Scores((0, 1, 2), (values, np.ones((3, 6)))), "b": Scores((0, 1, 2), (values * counted, counted))}
    comparison = Comparison(UNBOUNDED, rows | {"c": by_item(values)})
    assert list(comparison.pair_tests) == [("a", "c")]


def test_holm_corrects_step_by_step():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])  # by hand
    assert holm([0.5, 0.9]) == pytest.approx([1, 1]) and holm([]) == []


def simulate(rng, rows, seeds, effect=0.0, spread=0.0, items=60):
    """Returns a comparison of rows that share the difficulty of items; the last row is better by `effect`."""
    difficulty = rng.normal(0, 0.3, items)
    by_seed = 0.05 * np.exp(rng.normal(0, spread, (rows, 1, 1)))
    noise = rng.normal(0, by_seed, (rows, seeds, 1)) + rng.normal(0, 0.1, (rows, seeds, items))
    noise[-1] += effect
    return Comparison(UNBOUNDED, {str(row): by_item(difficulty + own) for row, own in enumerate(noise)})


@pytest.mark.slow
@pytest.mark.parametrize("spread", [0.0, 1.0])
@pytest.mark.parametrize(("rows", "seeds"), [(2, 3), (6, 3), (6, 10)])
def test_equal_rows_seldom_differ(rows, seeds, spread):
    rng, trials = np.random.default_rng(0), 150
    tables = (simulate(rng, rows, seeds, spread=spread) for _ in range(trials))
    false = sum(any(test.corrected < 0.05 for test in table.pair_tests.values()) for table in tables)
    assert false / trials < 0.05 + 2 * np.sqrt(0.05 * 0.95 / trials)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_a_detectable_difference_is_found_with_the_power_it_claims(seeds):
    rng, trials = np.random.default_rng(0), 150
    smallest = np.median([simulate(rng, 2, seeds).detectable() for _ in range(50)])
    tests = (simulate(rng, 2, seeds, smallest).pair_tests["0", "1"] for _ in range(trials))
    assert 0.7 < sum(test.corrected < 0.05 for test in tests) / trials < 0.95


@pytest.mark.usefixtures("user_folder")
def test_table_pairs_prints_every_pair_and_no_other_format(capsys):
    make_runs()
    assert main(["table", "small.py", "--pairs"]) == 0
    printed = capsys.readouterr().out
    assert "| `dot` | `general` |" in printed and "Holm's correction" in printed
    assert main(["table", "small.py", "--pairs", "--add", "seed=7"]) == 0
    assert "`general` has no record of seed 7 yet." in capsys.readouterr().out
    assert main(["table", "small.py", "--pairs", "--format", "csv"]) == 2
    assert "--pairs prints Markdown, not --format csv" in capsys.readouterr().err
