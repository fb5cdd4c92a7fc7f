"""Tests between all pairs of rows: equal to Welch's, corrected by Holm; test_simulated_tables.py simulates them."""

import dataclasses
import itertools

import numpy as np
import pytest
import scipy.stats
from fake_runs import make_runs
from hypothesis import given, settings
from hypothesis import strategies as st
from user_folder import user_folder  # noqa: F401 (a fixture)

from attn_research.cli import main
from attn_research.metrics import METRICS, Comparison, Scores
from attn_research.metrics.difference import detectable, holm
from attn_research.reports.pairs import distinguishable

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


def random_table(random, rows, effect=0.1):
    """Returns a comparison of rows whose means differ by about `effect`."""
    rng = np.random.default_rng(random)
    means = rng.normal(0, effect, rows)
    return Comparison(UNBOUNDED, {str(row): by_item(rng.normal(mean, 0.1, (3, 8))) for row, mean in enumerate(means)})


@settings(max_examples=25)
@given(st.integers(0, 99), st.integers(1, 6), st.sampled_from([0.0, 0.1, 1.0]))
def test_a_row_is_tied_if_its_corrected_p_is_at_least_5_percent(random, rows, effect):
    table = random_table(random, rows, effect)
    with_best = [(pair, test) for pair, test in table.pair_tests.items() if table.best in pair]
    assert len(with_best) == rows - 1
    expected = {label for pair, test in with_best if test.corrected >= 0.05 for label in pair} - {table.best}
    assert table.tied == expected


@settings(max_examples=25)
@given(st.integers(0, 99), st.integers(1, 6), st.sampled_from([0.0, 0.1, 1.0]))
def test_listed_rows_are_distinguishable_from_one_another(random, rows, effect):
    table = random_table(random, rows, effect)
    levels = distinguishable(table)
    corrected = {frozenset(pair): test.corrected for pair, test in table.pair_tests.items()}
    assert all(corrected[frozenset(pair)] < 0.05 for pair in itertools.combinations(levels, 2))
    assert levels[:1] == [table.best][: len(table.pair_tests)]
    assert (
        all(
            any(corrected[frozenset((row, level))] >= 0.05 for level in levels)
            for row in table.rows
            if row not in levels
        )
        or len(table.rows) == 1
    )


@settings(max_examples=25)
@given(st.integers(0, 99), st.integers(2, 5))
def test_more_rows_never_remove_a_dagger(random, rows):
    table = random_table(random, rows)
    worst = min(table.means, key=table.means.__getitem__)
    more = Comparison(UNBOUNDED, table.rows | {"more": dataclasses.replace(table.rows[worst])})
    assert table.tied <= more.tied


@settings(max_examples=25)
@given(st.integers(0, 99), st.integers(2, 6), st.floats(0.01, 100))
def test_the_detectable_difference_has_the_scale_of_the_metric(random, rows, scale):
    table = random_table(random, rows)
    scaled = {label: by_item(scores.parts[0] * scale) for label, scores in table.rows.items()}
    assert Comparison(UNBOUNDED, scaled).detectable() == pytest.approx(scale * table.detectable(), rel=1e-3)


@given(st.integers(3, 12), st.floats(0.01, 1), st.floats(0, 1), st.floats(1e-5, 0.05))
def test_more_seeds_detect_smaller_differences(seeds, variance, items, level):
    few, many = (detectable([(variance, n)] * 2, items, 100, level) for n in (seeds, seeds + 1))
    assert 0 < many < few < detectable([(variance, seeds)] * 2, items, 100, level / 2)


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
