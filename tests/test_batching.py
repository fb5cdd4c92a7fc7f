import itertools

import numpy as np
import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_research.data.batching import (
    EMPTY,
    EncodedSplit,
    Sentences,
    choose_shapes,
    collate,
    count_symbols,
    encode,
    extend_shapes,
    plan_batches,
    real_fraction,
)
from attn_research.data.vocab import EOS, PAD, UNK, UNKNOWN, Vocabulary

LENGTHS = st.lists(st.tuples(st.integers(1, 8), st.integers(1, 12)), min_size=1, max_size=30)


def of_lengths(lengths):
    """Returns sentences of these lengths whose symbols encode their row."""
    return EncodedSplit(
        Sentences.from_lists([[4 + row] * source for row, (source, _) in enumerate(lengths)]),
        Sentences.from_lists([[4 + row] * (target - 1) + [EOS] for row, (_, target) in enumerate(lengths)]),
    )


def padded(lengths, shapes):
    """Returns the number of padded symbols if every row uses the first shape that holds it."""
    return sum(next(s + t for s, t in shapes if source <= s and target <= t) for source, target in lengths)


def ascending(lengths, count):
    """Yields all ascending choices of at most `count` shapes from the lengths; the last shape holds all rows."""
    largest = tuple(map(max, zip(*lengths, strict=True)))
    grid = list(itertools.product(*({*side} for side in zip(*lengths, strict=True))))
    for size in range(count):
        for inner in itertools.product(grid, repeat=size):
            chain = (*inner, largest)
            if all(a[0] <= b[0] and a[1] <= b[1] for a, b in itertools.pairwise(chain)):
                yield chain


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 4)), min_size=1, max_size=12), st.integers(1, 3))
def test_no_ascending_choice_of_shapes_pads_less(lengths, count):
    shapes = choose_shapes(of_lengths(lengths), count)
    least = min(padded(lengths, chain) for chain in ascending(lengths, count))
    fewest = min(len({*chain}) for chain in ascending(lengths, count) if padded(lengths, chain) == least)
    assert padded(lengths, shapes) == least
    assert len(shapes) == fewest
    assert all(a[0] <= b[0] and a[1] <= b[1] and a != b for a, b in itertools.pairwise(shapes))
    assert real_fraction(of_lengths(lengths), shapes) == pytest.approx(sum(map(sum, lengths)) / least)


def test_a_small_example_has_known_shapes():
    encoded = of_lengths([(2, 3), (2, 2), (9, 4), (8, 5)])
    assert choose_shapes(encoded, 1) == ((9, 5),)
    assert choose_shapes(encoded, 2) == ((2, 3), (9, 5))
    assert real_fraction(encoded, ((2, 3), (9, 5))) == 35 / 38


def test_a_row_with_a_long_target_does_not_widen_the_small_shape():
    assert choose_shapes(of_lengths([(2, 3)] * 9 + [(2, 20), (9, 20)]), 2) == ((2, 3), (9, 20))


def test_every_row_fits_when_lengths_are_subsampled():
    encoded = of_lengths([(1 + row % 97, 1 + row % 101) for row in range(500)])
    shapes = choose_shapes(encoded, 3)
    assert len(shapes) == 3
    assert extend_shapes(encoded, shapes) == shapes
    assert shapes[-1] == (97, 101)
    assert real_fraction(encoded, shapes) > real_fraction(encoded, shapes[-1:])


def test_a_shape_that_saves_nothing_is_not_compiled():
    assert choose_shapes(of_lengths([(3, 4)] * 5), 3) == ((3, 4),)


@settings(deadline=None)
@given(LENGTHS, st.integers(1, 3), st.integers(1, 7), st.integers(0, 2**31))
def test_every_epoch_has_every_row_once(lengths, count, batch_size, seed):
    encoded = of_lengths(lengths)
    shapes = choose_shapes(encoded, count)
    epochs = [plan_batches(encoded, shapes, batch_size, seed, epoch) for epoch in range(3)] + [
        plan_batches(encoded, shapes, batch_size)
    ]
    for batches in epochs:
        assert sorted(np.concatenate([rows for _, rows in batches])) == list(range(len(lengths)))
        assert len(batches) == len(epochs[0])
        for shape, rows in batches:
            assert 1 <= len(rows) <= batch_size
            assert all(lengths[row][0] <= shapes[shape][0] and lengths[row][1] <= shapes[shape][1] for row in rows)


def as_lists(batches):
    return [(shape, rows.tolist()) for shape, rows in batches]


def test_the_plan_is_a_function_of_seed_and_epoch():
    encoded = of_lengths([(1 + row % 7, 2) for row in range(100)])
    shapes = choose_shapes(encoded, 2)
    first = as_lists(plan_batches(encoded, shapes, 8, seed=3, epoch=1))
    assert first == as_lists(plan_batches(encoded, shapes, 8, seed=3, epoch=1))
    assert first != as_lists(plan_batches(encoded, shapes, 8, seed=3, epoch=2))
    assert first != as_lists(plan_batches(encoded, shapes, 8, seed=4, epoch=1))
    assert [shape for shape, _ in first] != sorted(shape for shape, _ in first)


def test_without_a_seed_rows_and_batches_are_in_order():
    encoded = of_lengths([(1, 2), (5, 2), (1, 2), (1, 2), (5, 2)])
    assert as_lists(plan_batches(encoded, ((1, 2), (5, 2)), 2)) == [(0, [0, 2]), (0, [3]), (1, [1, 4])]


def test_one_more_shape_covers_longer_rows():
    encoded = of_lengths([(2, 2), (9, 1), (3, 8)])
    assert extend_shapes(encoded, ((4, 4),)) == ((4, 4), (9, 8))
    assert extend_shapes(encoded, ((4, 8), (9, 9))) == ((4, 8), (9, 9))
    with pytest.raises(ValueError, match="row 1 is longer than every shape"):
        plan_batches(encoded, ((4, 4),), 2)


def test_a_batch_is_padded_and_filled_with_empty_rows():
    batch = collate(of_lengths([(2, 3), (1, 1), (3, 2)]), [2, 0], (4, 3), 3)
    assert batch.source.tolist() == [[6, 6, 6, PAD], [4, 4, PAD, PAD], [PAD] * 4]
    assert batch.target.tolist() == [[6, EOS, PAD], [4, 4, EOS], [PAD] * 3]
    assert batch.source_lengths.tolist() == [3, 2, 0]
    assert batch.target_lengths.tolist() == [2, 3, 0]
    assert batch.rows.tolist() == [2, 0, EMPTY]
    assert {array.dtype for array in batch if array is not None} == {np.dtype(np.int32)}
    assert batch.links is None


@settings(deadline=None)
@given(LENGTHS, st.integers(1, 9))
def test_a_batch_contains_exactly_its_rows(lengths, batch_size):
    encoded = of_lengths(lengths)
    (shape,) = choose_shapes(encoded, 1)
    for _, rows in plan_batches(encoded, (shape,), batch_size, seed=0):
        batch = collate(encoded, rows, shape, batch_size)
        assert batch.source.shape == (batch_size, shape[0])
        assert batch.target.shape == (batch_size, shape[1])
        assert batch.source.sum() == sum(encoded.source[row].sum() for row in rows)
        for position, row in enumerate(rows):
            assert batch.source[position, : batch.source_lengths[position]].tolist() == encoded.source[row].tolist()
            assert batch.target[position, : batch.target_lengths[position]].tolist() == encoded.target[row].tolist()


def test_a_column_is_encoded_with_or_without_eos():
    sentences = pyarrow.chunked_array([[["x", "z"]], [["y"], ["y", "x", UNKNOWN]]])
    vocabulary = Vocabulary(("y", "x"))
    assert [ids.tolist() for ids in encode(sentences, vocabulary, end=False)] == [[5, UNK], [4], [4, 5, UNK]]
    assert [ids.tolist() for ids in encode(sentences, vocabulary, end=True)] == [
        [5, UNK, EOS],
        [4, EOS],
        [4, 5, UNK, EOS],
    ]
    assert all(ids.dtype == np.int32 for ids in encode(sentences, vocabulary, end=True))


def test_symbol_counts_cover_all_sentences():
    assert count_symbols(pyarrow.chunked_array([[["b", "a"]], [["a"], ["a", "c"]]])) == {"a": 3, "b": 1, "c": 1}
