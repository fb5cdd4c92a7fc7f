"""From a split to padded batches of a few fixed shapes, so that few functions are compiled.

A shape is a padded (source, target) length; a row goes to the first shape that holds it.
"""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attn_research.data.vocab import EOS, PAD, Vocabulary
from attn_research.errors import UserError

if TYPE_CHECKING:
    import pyarrow

Shape = tuple[int, int]
Alignment = Sequence[Sequence[Sequence[int]]]  # (source index, target index) pairs of every item
CANDIDATES = 48  # source or target lengths at most, among which shapes are chosen
EMPTY = -1  # stands in `rows` for a row that only fills up a batch


class Sentences:
    """Sentences as int32 ids, one after another in a single array: an array each would take more than its ids."""

    def __init__(self, ids: np.ndarray, lengths: np.ndarray):
        self.ids, self.lengths, self._ends = ids, lengths, lengths.cumsum()

    @classmethod
    def from_lists(cls, sentences: Sequence[Sequence[int]]) -> "Sentences":
        """Those of a list."""
        return cls(np.fromiter(itertools.chain(*sentences), np.int32), np.array([len(one) for one in sentences], int))

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, row: int) -> np.ndarray:
        return self.ids[self._ends[row] - self.lengths[row] : self._ends[row]]


class EncodedSplit(NamedTuple):
    """One split as ids; the sentences of `target` end in EOS."""

    source: Sentences
    target: Sentences


class Batch(NamedTuple):
    """Padded sentence pairs; an empty row has lengths 0."""

    source: np.ndarray  # [b s] int32, PAD after the sentence
    source_lengths: np.ndarray  # [b] int32
    target: np.ndarray  # [b t] int32, EOS and then PAD after the sentence
    target_lengths: np.ndarray  # [b] int32, EOS counted
    rows: np.ndarray  # [b] int32, index in the split, EMPTY for an empty row
    links: np.ndarray | None = None  # [b t s] float32, 1 where gold aligns the two; only where a loss asks for it


def count_symbols(sentences: "pyarrow.ChunkedArray") -> dict[str, int]:
    """How often each symbol occurs in a column of lists of symbols."""
    return {item["values"]: item["counts"] for item in _flatten(sentences).value_counts().to_pylist()}


def encode(sentences: "pyarrow.ChunkedArray", vocabulary: Vocabulary, end: bool) -> Sentences:
    """The ids of a column of lists of symbols; with `end`, each sentence has EOS as its last."""
    import pyarrow.compute

    symbols = _flatten(sentences).dictionary_encode()
    ids = np.array(vocabulary.encode(symbols.dictionary.to_pylist()), np.int32)[_to_numpy(symbols.indices)]
    lengths = _to_numpy(pyarrow.compute.list_value_length(sentences).combine_chunks())
    return Sentences(np.insert(ids, lengths.cumsum(), EOS), lengths + 1) if end else Sentences(ids, lengths)


def _flatten(sentences: "pyarrow.ChunkedArray") -> "pyarrow.Array":
    import pyarrow.compute

    return pyarrow.compute.list_flatten(sentences).combine_chunks()


def _to_numpy(numbers: "pyarrow.Array") -> np.ndarray:
    """Without pyarrow's own way, which imports pandas."""
    return np.from_dlpack(numbers)


def _lengths(encoded: EncodedSplit) -> np.ndarray:
    return np.stack([encoded.source.lengths, encoded.target.lengths], axis=1).astype(np.int64)


def choose_shapes(encoded: EncodedSplit, shapes: int) -> tuple[Shape, ...]:
    """At most `shapes` shapes, each inside the next, with the fewest padded symbols.

    Exact among such chains over the lengths that occur (at most `CANDIDATES` a side), by dynamic programming: a shape
    takes the rows that it holds and the shape before it does not.
    """
    lengths = _lengths(encoded)
    sources, targets = (_candidates(side) for side in lengths.T)
    fit_counts = np.zeros((len(sources), len(targets)), np.int64)  # rows that each candidate holds
    np.add.at(fit_counts, (np.searchsorted(sources, lengths[:, 0]), np.searchsorted(targets, lengths[:, 1])), 1)
    fit_counts = fit_counts.cumsum(0).cumsum(1)
    size = sources[:, None] + targets[None]
    padded, inner = fit_counts * size, []  # fewest padded symbols of the rows held, in at most 1, 2, ... shapes
    for _ in range(shapes - 1):
        padded, previous = _add_shape(padded, fit_counts, size)
        inner.append(previous)
    chain = [np.unravel_index(fit_counts.size - 1, fit_counts.shape)]
    for previous in reversed(inner):
        chain.append(tuple(previous[chain[-1]]))
    return tuple((int(sources[i]), int(targets[j])) for i, j in sorted(set(chain)))


def _candidates(lengths: np.ndarray) -> np.ndarray:
    spread = np.quantile(lengths, np.linspace(0, 1, CANDIDATES), method="inverted_cdf")
    return np.unique(lengths) if len(np.unique(lengths)) <= CANDIDATES else np.unique(spread)


def _add_shape(padded: np.ndarray, fit_counts: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`padded` with one more shape allowed, and the best shape [i j 2] inside each; itself where none helps."""
    better, previous = padded.copy(), np.zeros((*fit_counts.shape, 2), np.int64)
    for i, j in np.ndindex(fit_counts.shape):
        cost = padded[: i + 1, : j + 1] + (fit_counts[i, j] - fit_counts[: i + 1, : j + 1]) * size[i, j]
        previous[i, j] = np.unravel_index(len(cost.flat) - 1 - cost[::-1, ::-1].argmin(), cost.shape)
        better[i, j] = cost.min()
    return better, previous


def _first_fit(lengths: np.ndarray, shapes: Sequence[Shape]) -> np.ndarray:
    """[n] index of the first shape that holds each row, `len(shapes)` where none does."""
    fits = (lengths[:, None] <= np.array(shapes)).all(axis=-1)
    return np.where(fits.any(axis=1), fits.argmax(axis=1), len(shapes))


def extend_shapes(encoded: EncodedSplit, shapes: tuple[Shape, ...]) -> tuple[Shape, ...]:
    """`shapes`, and one more for the rows that fit none of them, if there are such rows."""
    lengths = _lengths(encoded)
    outside = lengths[_first_fit(lengths, shapes) == len(shapes)]
    return (*shapes, tuple(outside.max(axis=0).tolist())) if len(outside) else shapes


def real_fraction(encoded: EncodedSplit, shapes: tuple[Shape, ...]) -> float:
    """Share of the padded symbols that are real ones, both sides together; rows must fit the shapes."""
    lengths = _lengths(encoded)
    return float(lengths.sum() / np.array(shapes)[_first_fit(lengths, shapes)].sum())


def plan_batches(
    encoded: EncodedSplit, shapes: tuple[Shape, ...], batch_size: int, seed: int | None = None, epoch: int = 0
) -> list[tuple[int, np.ndarray]]:
    """The batches of an epoch, each a shape's index and at most `batch_size` rows; every row is in exactly one.

    With a seed the rows within a shape and the batches are shuffled, as a pure function of (seed, epoch); without one
    they are in order. The number of batches is the same in every epoch.

    Raises:
      UserError: a row fits no shape (see `extend_shapes`).
    """
    shape_of = _first_fit(_lengths(encoded), shapes)
    if (shape_of == len(shapes)).any():
        row = int(shape_of.argmax())
        raise UserError(f"row {row} is longer than every shape of {shapes}")
    rng = None if seed is None else np.random.default_rng([seed, epoch])
    batches = []
    for shape in range(len(shapes)):
        rows = np.flatnonzero(shape_of == shape)
        rows = rows if rng is None else rng.permutation(rows)
        batches += [(shape, rows[start : start + batch_size]) for start in range(0, len(rows), batch_size)]
    return batches if rng is None else [batches[i] for i in rng.permutation(len(batches))]


def collate(
    encoded: EncodedSplit, rows: Sequence[int], shape: Shape, batch_size: int, alignment: Alignment | None = None
) -> Batch:
    """The given rows, padded to `shape`, and empty rows up to `batch_size`; with links if `alignment` is given."""
    indices = np.full(batch_size, EMPTY, np.int32)
    indices[: len(rows)] = rows
    source, source_lengths = _pad([encoded.source[row] for row in rows], batch_size, shape[0])
    target, target_lengths = _pad([encoded.target[row] for row in rows], batch_size, shape[1])
    links = None if alignment is None else _links([alignment[row] for row in rows], batch_size, shape)
    return Batch(source, source_lengths, target, target_lengths, indices, links)


def _links(alignment: Alignment, batch_size: int, shape: Shape) -> np.ndarray:
    links = np.zeros((batch_size, shape[1], shape[0]), np.float32)
    for row, pairs in enumerate(alignment):
        for source, target in pairs:
            links[row, target, source] = 1
    return links


def _pad(sentences: list[np.ndarray], batch_size: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    padded, lengths = np.full((batch_size, length), PAD, np.int32), np.zeros(batch_size, np.int32)
    for row, sentence in enumerate(sentences):
        padded[row, : len(sentence)] = sentence
        lengths[row] = len(sentence)
    return padded, lengths
