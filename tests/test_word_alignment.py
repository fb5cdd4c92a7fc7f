"""Links from attention weights, and their scores against sure and possible gold links."""

import numpy as np
import pytest
from documents import ROOT, code_blocks
from hypothesis import given
from hypothesis import strategies as st

from attn_research.metrics import METRICS
from attn_research.metrics import alignment as al


def matrix(*rows):
    """Returns the alignment of rows such as `x.x`."""
    return np.array([[symbol == "x" for symbol in row] for row in rows])


FORWARD = matrix("x...", ".x..", "..x.", "...x", "x...")
BACKWARD = matrix("x...", "....", ".x..", "...x", "....")


@st.composite
def pairs(draw, count=2):
    shape = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    bits = st.lists(st.booleans(), min_size=shape[0] * shape[1], max_size=shape[0] * shape[1])
    return [np.array(draw(bits)).reshape(shape) for _ in range(count)]


def test_scores_equal_those_by_hand():
    sure = al.link_matrix([(0, 0), (1, 1)], (3, 3))
    possible = al.link_matrix([(2, 1), (2, 2)], (3, 3))
    links = al.link_matrix([(0, 0), (2, 1), (0, 2)], (3, 3))
    counts = al.count_links(links, sure, possible)
    assert counts == (3, 2, 1, 2)
    values = {name: METRICS[name].value(*([part] for part in counts)) for name in METRICS if name.startswith("word_")}
    expected = {"word_aer": 1 - 3 / 5, "word_precision": 2 / 3, "word_recall": 1 / 2, "word_f1": 4 / 7}
    assert values == pytest.approx(expected | {"word_aer_next": 1 - 3 / 5})


def test_scores_are_ratios_of_sums_and_nan_without_gold_links():
    parts = [[3, 1], [2, 1], [1, 1], [2, 1]]
    assert METRICS["word_aer"].value(*parts) == pytest.approx(1 - 5 / 7)
    assert METRICS["word_f1"].value(*parts) == pytest.approx(2 * (3 / 4) * (2 / 3) / (3 / 4 + 2 / 3))
    assert all(np.isnan(METRICS[f"word_{name}"].value(*[[0]] * 4)) for name in ("aer", "precision", "recall", "f1"))


def test_links_are_those_of_the_largest_weight_or_above_a_threshold():
    weights = np.array([[0.2, 0.5, 0.3], [0, 0, 0], [0.4, 0.1, 0.5]])
    assert np.array_equal(al.argmax_links(weights), matrix(".x.", "...", "..x"))
    assert np.array_equal(al.threshold_links(weights, 0.3), matrix(".xx", "...", "x.x"))


def test_target_symbols_have_the_weights_of_the_step_that_predicts_or_reads_them():
    steps = np.arange(6.0).reshape(3, 2)  # two symbols and EOS
    assert al.weights_of_targets(steps).tolist() == [[0, 1], [2, 3]]
    assert al.weights_of_targets(steps, read=True).tolist() == [[2, 3], [4, 5]]


def test_subwords_are_summed_over_the_source_and_averaged_over_the_target():
    weights = np.array([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2], [0.0, 0.0, 1.0]])
    merged = al.merge_words(weights, source_words=[0, 0, 1], target_words=[0, 1, 1])
    np.testing.assert_allclose(merged, [[0.3, 0.7], [0.4, 0.6]], rtol=1e-6)
    np.testing.assert_allclose(merged.sum(1), 1, rtol=1e-6)


def test_words_of_one_symbol_keep_their_weights():
    weights = np.random.default_rng(0).random((3, 4))
    np.testing.assert_allclose(al.merge_words(weights, range(4), range(3)), weights, rtol=1e-6)


def test_symmetrized_alignments_equal_those_by_hand():
    assert np.array_equal(al.intersection(FORWARD, BACKWARD), matrix("x...", "....", "....", "...x", "...."))
    assert np.array_equal(al.union(FORWARD, BACKWARD), matrix("x...", ".x..", ".xx.", "...x", "x..."))
    # (0, 0) adds (1, 1), which adds (2, 1) and then (2, 2), whose source word is free. (4, 0) has no neighbor.
    assert np.array_equal(al.grow_diag_final(FORWARD, BACKWARD), matrix("x...", ".x..", ".xx.", "...x", "x..."))
    # (4, 0) shares source word 0 with (0, 0).
    grown = al.grow_diag_final(FORWARD, BACKWARD, final_and=True)
    assert np.array_equal(grown, matrix("x...", ".x..", ".xx.", "...x", "...."))


def test_growth_ends_where_both_words_have_a_link():
    a, b = matrix("x..", "xx.", "..."), matrix("x..", ".x.", "..x")
    # (1, 0) is a neighbor of two links of its words. (2, 2) is added from (1, 1).
    assert np.array_equal(al.grow_diag_final(a, b, final_and=True), matrix("x..", ".x.", "..x"))


def test_the_final_step_prefers_the_first_direction():
    a, b = matrix("x.."), matrix("..x")
    assert np.array_equal(al.grow_diag_final(a, b), matrix("x.x"))
    assert np.array_equal(al.grow_diag_final(a, b, final_and=True), matrix("x.."))
    assert np.array_equal(al.grow_diag_final(b, a, final_and=True), matrix("..x"))


@given(pairs())
def test_alignments_are_nested(directions):
    a, b = directions
    both, either = al.intersection(a, b), al.union(a, b)
    strict, loose = (al.grow_diag_final(a, b, final_and) for final_and in (True, False))
    for inner, outer in ((both, strict), (both, loose), (strict, either), (loose, either), (both, a), (a, either)):
        assert not (inner & ~outer).any()
    assert np.array_equal(loose.any(0), either.any(0)) and np.array_equal(loose.any(1), either.any(1))
    assert al.count_links(both, a, b)[0] <= al.count_links(either, a, b)[0]


@given(pairs(1))
def test_equal_directions_stay_as_they_are(directions):
    (a,) = directions
    for combine in (al.intersection, al.union, al.grow_diag_final):
        assert np.array_equal(combine(a, a), a)


@given(pairs())
def test_transposing_both_directions_transposes_intersection_and_union(directions):
    a, b = directions
    for combine in (al.intersection, al.union):
        assert np.array_equal(combine(a.T, b.T), combine(b, a).T)


@given(pairs(3))
def test_scores_are_shares_and_intersection_is_precise_and_union_complete(matrices):
    a, b, gold = matrices
    counts = {one: al.count_links(one(a, b), gold, gold) for one in (al.intersection, al.union)}
    for parts in counts.values():
        for name in ("word_aer", "word_precision", "word_recall", "word_f1"):
            value = METRICS[name].value(*([part] for part in parts))
            assert np.isnan(value) or 0 <= value <= 1
        f, aer = (METRICS[name].value(*([part] for part in parts)) for name in ("word_f1", "word_aer"))
        assert np.isnan(f) or f == pytest.approx(1 - aer)  # F is 1 - AER if all links are sure
    assert counts[al.union][2] >= counts[al.intersection][2]


@given(pairs(2))
def test_links_of_possible_and_all_sure_words_have_no_error(matrices):
    sure, possible = matrices
    values = [
        METRICS["word_aer"].value(*([n] for n in al.count_links(a, sure, possible))) for a in (sure, sure | possible)
    ]
    assert all(np.isnan(value) or value == 0 for value in values)


PAGE = (ROOT / "docs" / "measurement.md").read_text(encoding="utf-8")


def test_every_metric_is_documented():
    assert [name for name in METRICS if f"`{name}`" not in PAGE] == []


@pytest.mark.parametrize(
    ("combine", "aer"),  # (1, 1) adds (2, 0) and then (2, 2), whose source word is free
    [(al.intersection, 1 - 4 / 5), (al.union, 1 - 6 / 7), (al.grow_diag_final, 1 - 6 / 7)],
)
def test_the_example_of_two_directions_gives_the_aer_by_hand(combine, aer):
    (block,) = (block for block in code_blocks(PAGE) if "def symmetrized_aer" in block)
    exec(compile(block, "measurement.md", "exec"), names := {})
    forward = [np.array([[0.9, 0.1, 0], [0.2, 0.8, 0], [0.6, 0, 0.4]])]
    backward = [np.array([[0.7, 0.3, 0], [0.1, 0.9, 0], [0, 0.3, 0.7]])]
    sure, possible = [[(0, 0), (1, 1), (2, 2)]], [[]]
    actual = names["symmetrized_aer"](forward, backward, sure, possible, combine)
    assert actual == pytest.approx(aer)
