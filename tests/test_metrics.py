import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attn_research.metrics import METRICS, alignment_errors, closest_reference, link_errors, score_outputs

WORDS = st.lists(st.sampled_from("abc"), max_size=6)


def naive_edits(a, b):
    if not a or not b:
        return len(a) + len(b)
    return min(naive_edits(a[1:], b) + 1, naive_edits(a, b[1:]) + 1, naive_edits(a[1:], b[1:]) + (a[0] != b[0]))


@given(WORDS, st.lists(WORDS, min_size=1, max_size=3))
def test_the_closest_reference_has_the_fewest_edits(output, references):
    edits = [naive_edits(output, reference) for reference in references]
    assert closest_reference(output, references) == (min(edits), len(references[edits.index(min(edits))]))


@given(st.lists(st.tuples(WORDS, st.lists(WORDS, min_size=1, max_size=3)), max_size=4))
def test_exact_and_wer_are_complements_and_per_is_0_if_exact(pairs):
    scores = score_outputs([output for output, _ in pairs], [references for _, references in pairs])
    exact, one = scores["exact"]
    assert np.array_equal(exact + scores["wer"][0], one) and np.array_equal(scores["wer"][1], one)
    assert np.array_equal(scores["per"][0] == 0, exact == 1)
    assert exact.tolist() == [output in references for output, references in pairs]


def test_error_rates_are_ratios_of_sums():
    outputs = [["HH", "AH"], ["T"], ["K", "AE", "T"]]
    references = [[["HH", "AH", "L", "OW"], ["HH", "EH"]], [["T"]], [["K", "AA", "T"]]]
    values = {name: METRICS[name].value(*counts) for name, counts in score_outputs(outputs, references).items()}
    expected = {"exact": 1 / 3, "wer": 2 / 3, "per": 2 / 6, "per_mean": (1 / 2 + 0 + 1 / 3) / 3, "edits": 2 / 3}
    assert values == pytest.approx(expected)


def test_the_mean_item_per_takes_the_reference_with_the_smallest_quotient():
    counts = score_outputs([["a"]], [[["b"], ["a", "b", "c"]]])  # 1 edit of 1 symbol, 2 edits of 3
    assert METRICS["per"].value(*counts["per"]) == 1 and METRICS["edits"].value(*counts["edits"]) == 1
    assert METRICS["per_mean"].value(*counts["per_mean"]) == pytest.approx(2 / 3)


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=4))
def test_both_pers_agree_where_all_references_have_one_length(pairs):
    outputs = [output for output, _ in pairs]
    references = [[(right + list("aaaaaa"))[:6]] for _, right in pairs]
    counts = score_outputs(outputs, references)
    assert METRICS["per"].value(*counts["per"]) == pytest.approx(METRICS["per_mean"].value(*counts["per_mean"]))
    assert METRICS["edits"].value(*counts["edits"]) == pytest.approx(6 * METRICS["per"].value(*counts["per"]))


def test_alignment_errors_equal_those_by_hand():
    gold = [(0, 0), (1, 1), (2, 1), (3, 2)]  # output 1 may link to 1 or 2; output 3 has no link
    assert link_errors(4, 4, gold, [0, 2, 3, 0, 9]) == (0, 5)  # |A| = 3, |S| = 2
    assert link_errors(4, 4, gold, [0, 3, 3, 0]) == (1, 5)  # the possible link missed
    assert link_errors(4, 4, gold, [1, 1, 3, 0]) == (2, 5)  # a sure link missed counts in S and in P
    assert link_errors(3, 4, gold, [0, 1, 3]) == (0, 0)
    one_to_one = [(0, 2), (1, 1), (2, 0)]
    assert link_errors(3, 3, one_to_one, [2, 1, 1]) == (2, 6)  # 1 - 2 * 2 / (3 + 3) = 1/3


def test_free_aer_skips_outputs_of_another_length():
    scores = alignment_errors([2, 1], [2, 2], [[(0, 0), (1, 1)]] * 2, [[0, 0, 1], [0]])
    assert METRICS["aer_free"].value(*scores) == pytest.approx(1 / 2)
    assert scores[1].tolist() == [4, 0]


def test_ratios_of_empty_or_huge_sums_are_nan_or_infinite():
    assert METRICS["perplexity"].value([2.0, 4.0], [1, 2]) == pytest.approx(math.e**2)
    assert METRICS["perplexity"].value([1e6], [1]) == math.inf
    assert math.isnan(METRICS["aer"].value([0, 0], [0, 0]))
    assert math.isnan(METRICS["exact"].value([], []))


def test_empty_inputs_are_no_error():
    assert all(len(n) == len(d) == 0 for n, d in score_outputs([], []).values())
    assert all(len(part) == 0 for part in alignment_errors([], [], [], []))
