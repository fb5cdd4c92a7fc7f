"""Macro-averages: each task has the same weight, whatever its number of items."""

import numpy as np
import pytest

from attn_research.metrics import METRICS, Comparison, Scores
from attn_research.metrics.macro import join_tasks, macro_average

WER = METRICS["wer"]


def scores(errors, seeds=(0, 1, 2)):
    errors = np.array(errors)
    return Scores(seeds, (errors, np.ones_like(errors)))


def test_a_macro_average_is_the_mean_over_tasks_of_the_metric_of_each():
    small, large = scores([[1, 0], [1, 1], [0, 0]]), scores([[0] * 8, [0] * 8, [1] * 8])
    joined = join_tasks(WER, [small, large])
    assert Comparison(macro_average(WER, 2), {"row": joined}).means["row"] == pytest.approx((0.5 + 1 / 3) / 2)


def test_with_equal_tasks_it_has_the_mean_and_about_the_interval_of_all_items():
    rng = np.random.default_rng(0)
    tasks = [scores(rng.integers(0, 2, (3, 200))) for _ in range(3)]
    pooled = Scores(
        (0, 1, 2), tuple(np.concatenate(parts, axis=1) for parts in zip(*(t.parts for t in tasks), strict=True))
    )
    macro = Comparison(macro_average(WER, 3), {"row": join_tasks(WER, tasks)})
    micro = Comparison(WER, {"row": pooled})
    assert macro.means["row"] == pytest.approx(micro.means["row"])
    assert macro.interval("row") == pytest.approx(micro.interval("row"), abs=0.005)


def test_only_seeds_that_all_tasks_have_count():
    joined = join_tasks(WER, [scores([[1], [0]], (4, 5)), scores([[0], [1]], (6, 5))])
    assert joined.seeds == (5,)
    assert Comparison(macro_average(WER, 2), {"row": joined}).means["row"] == 0.5


def test_a_row_that_lacks_a_task_has_no_scores():
    assert join_tasks(WER, [scores([[1]], (0,)), None]) is None
    assert join_tasks(WER, [scores([[1]], (0,)), scores([[1]], (1,))]) is None


def test_without_items_the_values_are_averaged():
    known = Scores.without_items((0, 1), [0.5, 0.25])
    joined = join_tasks(WER, [known, scores([[1, 1], [0, 1]], (0, 1))])
    assert Comparison(macro_average(WER, 2), {"row": joined}).means["row"] == pytest.approx((0.75 + 0.375) / 2)
