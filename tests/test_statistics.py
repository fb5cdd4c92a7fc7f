import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_research.metrics import METRICS, Comparison, Scores
from attn_research.metrics.statistics import REPLICATES

EXACT = METRICS["exact"]
UNBOUNDED = dataclasses.replace(EXACT, minimum=-np.inf, maximum=np.inf)


def scores(values, seeds=None):
    values = np.asarray(values, float)
    return Scores(tuple(seeds or range(len(values))), (values, np.ones_like(values)))


def right(share, items=400, seeds=3, random=0):
    return scores(np.random.default_rng(random).random((seeds, items)) < share)


def test_an_interval_over_items_equals_the_normal_one():
    low, high = Comparison(EXACT, {"a": scores([[1] * 80 + [0] * 20])}).interval("a")
    assert low == pytest.approx(0.8 - 1.96 * 0.04, abs=0.011) and high == pytest.approx(0.8 + 1.96 * 0.04, abs=0.011)


def test_an_interval_over_seeds_equals_students():
    seeds = np.random.default_rng(0).normal(size=20)
    rows = {"a": Scores.without_items(tuple(range(20)), seeds)}
    low, high = Comparison(dataclasses.replace(METRICS["loss"], minimum=-9), rows).interval("a")
    half = 2.093 * seeds.std(ddof=1) / np.sqrt(20)  # Student's t, 19 degrees of freedom
    assert low == pytest.approx(seeds.mean() - half, abs=0.05) and high == pytest.approx(seeds.mean() + half, abs=0.05)


def test_rows_on_the_same_items_are_paired():
    hard = np.random.default_rng(0).random(500) < 0.5  # half of the items are hard for every run
    a = np.stack([hard] * 3)
    b = a.copy()
    b[:, :25] = False
    both = Comparison(EXACT, {"a": scores(a), "b": scores(b)})
    assert both.interval("b")[1] > both.interval("a")[0]
    low, high = both.difference("a", "b")
    assert 0 < low < both.means["a"] - both.means["b"] < high


@settings(max_examples=20)
@given(st.integers(1, 5), st.integers(1, 30), st.integers(0, 9))
def test_an_interval_contains_the_mean_and_stays_in_range(seeds, items, random):
    c = Comparison(EXACT, {"a": right(0.9, items, seeds, random), "b": right(0.5, items, seeds, random + 1)})
    low, high = c.interval("a")
    assert 0 <= low <= c.means["a"] <= high <= 1
    assert c.replicates["a"].shape == (REPLICATES,)
    assert c.best == max(c.means, key=c.means.get)


def test_intervals_are_reproducible_in_any_order_of_rows():
    a, b = right(0.9), right(0.8, random=1)
    one, other = Comparison(EXACT, {"a": a, "b": b}), Comparison(EXACT, {"b": b, "a": a})
    assert one.interval("a") == other.interval("a") == Comparison(EXACT, {"a": a}).interval("a")
    assert one.difference("a", "b") == other.difference("a", "b")


def test_rows_with_too_few_seeds_are_not_compared():
    c = Comparison(EXACT, {"a": right(0.99), "b": right(0.5, seeds=2)})
    assert c.interval("b") is not None  # from items alone
    assert c.difference("a", "b") is None and c.tied == set()
    losses = Comparison(METRICS["loss"], {"a": Scores.without_items((0, 1), [0.5, 0.6])})
    assert losses.interval("a") is None and losses.means["a"] == pytest.approx(0.55)


def test_rows_with_different_seeds_are_not_paired():
    same, other = right(0.9), right(0.9)
    paired = Comparison(UNBOUNDED, {"a": same, "b": same}).difference("a", "b")
    apart = Comparison(UNBOUNDED, {"a": same, "b": dataclasses.replace(other, seeds=(3, 4, 5))}).difference("a", "b")
    assert paired == (0, 0) and apart[0] < 0 < apart[1]


def test_the_best_loss_is_the_lowest():
    rows = {"a": Scores.without_items((0, 1, 2), [3, 3, 3]), "b": Scores.without_items((0, 1, 2), [2, 2, 2])}
    assert Comparison(METRICS["loss"], rows).best == "b"


def test_a_row_without_a_number_is_never_best():
    nothing = Scores((0, 1, 2), (np.zeros((3, 400)), np.zeros((3, 400))))
    c = Comparison(METRICS["aer"], {"a": nothing, "b": right(0.5)})
    assert c.best == "b" and c.interval("a") is None and c.difference("a", "b") is None and c.tied == set()


def test_rows_with_different_test_items_are_an_error():
    with pytest.raises(ValueError, match="'a' has 400, 'b' has 300"):
        Comparison(EXACT, {"a": right(0.9), "b": right(0.9, items=300)})
