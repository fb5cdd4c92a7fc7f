"""From a split to padded batches of a few fixed shapes, so that few functions are compiled.

A shape is a padded (source, target) length; a row goes to the first shape that holds it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from attn_research.data.vocab import EOS, PAD, Vocabulary

Shape = tuple[int, int]
EMPTY = -1  # stands in `rows` for a row that only fills up a batch


class Encoded(NamedTuple):
    """One split as ids: int32 arrays, those of `target` end in EOS."""

    source: list[np.ndarray]
    target: list[np.ndarray]


class Batch(NamedTuple):
    """Padded sentence pairs; an empty row has lengths 0."""

    source: np.ndarray  # [b s] int32, PAD after the sentence
    source_lengths: np.ndarray  # [b] int32
    target: np.ndarray  # [b t] int32, EOS and then PAD after the sentence
    target_lengths: np.ndarray  # [b] int32, EOS counted
    rows: np.ndarray  # [b] int32, index in the split, EMPTY for an empty row


def encode(split: Mapping[str, Any], source_vocab: Vocabulary, target_vocab: Vocabulary) -> Encoded:
    """The ids of a split's `source` and `target` columns."""
    return Encoded(
        [np.array(source_vocab.encode(tokens), np.int32) for tokens in split["source"][:]],
        [np.array([*target_vocab.encode(tokens), EOS], np.int32) for tokens in split["target"][:]],
    )


def _lengths(encoded: Encoded) -> np.ndarray:
    pairs = [(len(source), len(target)) for source, target in zip(*encoded, strict=True)]
    return np.array(pairs, np.int64).reshape(-1, 2)


def choose_shapes(encoded: Encoded, shapes: int) -> tuple[Shape, ...]:
    """At most `shapes` shapes, ascending in both lengths, with the fewest padded symbols.

    Exact among such shapes (dynamic programming over the last one); of equally good choices one with the fewest shapes.
    """
    lengths = _lengths(encoded)
    (sources, s), (targets, t) = (np.unique(side, return_inverse=True) for side in lengths.T)
    holds = np.zeros((len(sources), len(targets)), np.int64)
    np.add.at(holds, (s, t), 1)
    holds = holds.cumsum(axis=0).cumsum(axis=1)  # rows that fit each shape
    size = sources[:, None] + targets
    cells = holds * size  # padded symbols of those rows, when this shape is the last one
    chosen = {end: (end,) for end in np.ndindex(cells.shape)}
    for _ in range(shapes - 1):
        _allow_one_more(cells, chosen, holds, size)
    return tuple((int(sources[i]), int(targets[j])) for i, j in chosen[len(sources) - 1, len(targets) - 1])


def _allow_one_more(cells: np.ndarray, chosen: dict, holds: np.ndarray, size: np.ndarray) -> None:
    for i, j in reversed(list(np.ndindex(cells.shape))):  # backwards, so that the smaller shapes are still as they were
        smaller = np.s_[: i + 1, : j + 1]
        costs = cells[smaller] + (holds[i, j] - holds[smaller]) * size[i, j]
        before = np.unravel_index(costs.argmin(), costs.shape)
        if costs[before] < cells[i, j]:
            cells[i, j] = costs[before]
            chosen[i, j] = (*chosen[before], (i, j))


def _first_fit(lengths: np.ndarray, shapes: Sequence[Shape]) -> np.ndarray:
    """[n] index of the first shape that holds each row, `len(shapes)` where none does."""
    fits = (lengths[:, None] <= np.array(shapes)).all(axis=-1)
    return np.where(fits.any(axis=1), fits.argmax(axis=1), len(shapes))


def cover(encoded: Encoded, shapes: tuple[Shape, ...]) -> tuple[Shape, ...]:
    """`shapes`, and one more for the rows that fit none of them, if there are such rows."""
    lengths = _lengths(encoded)
    outside = lengths[_first_fit(lengths, shapes) == len(shapes)]
    return (*shapes, tuple(outside.max(axis=0).tolist())) if len(outside) else shapes


def real_share(encoded: Encoded, shapes: tuple[Shape, ...]) -> float:
    """Share of the padded symbols that are real ones, both sides together; rows must fit the shapes."""
    lengths = _lengths(encoded)
    return float(lengths.sum() / np.array(shapes)[_first_fit(lengths, shapes)].sum())


def plan(
    encoded: Encoded, shapes: tuple[Shape, ...], batch_size: int, seed: int | None = None, epoch: int = 0
) -> list[tuple[int, np.ndarray]]:
    """The batches of an epoch, each a shape's index and at most `batch_size` rows; every row is in exactly one.

    With a seed the rows within a shape and the batches are shuffled, as a pure function of (seed, epoch); without one
    they are in order. The number of batches is the same in every epoch.

    Raises:
      ValueError: a row fits no shape (see `cover`).
    """
    shape_of = _first_fit(_lengths(encoded), shapes)
    if (shape_of == len(shapes)).any():
        row = int(shape_of.argmax())
        raise ValueError(f"row {row} is longer than every shape of {shapes}")
    rng = None if seed is None else np.random.default_rng([seed, epoch])
    batches = []
    for shape in range(len(shapes)):
        rows = np.flatnonzero(shape_of == shape)
        rows = rows if rng is None else rng.permutation(rows)
        batches += [(shape, rows[start : start + batch_size]) for start in range(0, len(rows), batch_size)]
    return batches if rng is None else [batches[i] for i in rng.permutation(len(batches))]


def collate(encoded: Encoded, rows: Sequence[int], shape: Shape, batch_size: int) -> Batch:
    """The given rows, padded to `shape`, and empty rows up to `batch_size`."""
    indices = np.full(batch_size, EMPTY, np.int32)
    indices[: len(rows)] = rows
    source, source_lengths = _pad([encoded.source[row] for row in rows], batch_size, shape[0])
    target, target_lengths = _pad([encoded.target[row] for row in rows], batch_size, shape[1])
    return Batch(source, source_lengths, target, target_lengths, indices)


def _pad(sentences: list[np.ndarray], batch_size: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    padded, lengths = np.full((batch_size, length), PAD, np.int32), np.zeros(batch_size, np.int32)
    for row, sentence in enumerate(sentences):
        padded[row, : len(sentence)] = sentence
        lengths[row] = len(sentence)
    return padded, lengths
