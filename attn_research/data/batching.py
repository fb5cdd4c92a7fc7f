"""Length-bucketed batches, padded to a few shapes, so that few functions are compiled.

Training plans its batches over a split (`choose_shapes`, `plan_batches`, `collate`): a shape is a padded
(source, target) length, and a row goes to the first shape that holds it. Translation has no split, and buckets its
sources by length (`bucket_sources`).
"""

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attn_research.data.vocab import EOS, PAD, Vocabulary
from attn_research.errors import UserError

if TYPE_CHECKING:
    import pyarrow

Shape = tuple[int, int]
Alignment = Sequence[Sequence[Sequence[int]]]  # (source index, target index) pairs of every item
CANDIDATES = 48  # the most source or target lengths that `choose_shapes` tries
EMPTY = -1  # the index in `Batch.rows` of a row that only fills the batch

# Of the batches of `bucket_sources`:
MIN_SIZE = 8  # the smallest padded length, and the smallest padded number of rows
MAX_ROWS = 64
MAX_SYMBOLS = 8192  # with padding; a longer source is a batch of its own


class Sentences:
    """Sentences as int32 ids in one flat array, which takes less memory than an array for each sentence."""

    def __init__(self, ids: np.ndarray, lengths: np.ndarray):
        self.ids, self.lengths, self._ends = ids, lengths, lengths.cumsum()

    @classmethod
    def from_lists(cls, sentences: Sequence[Sequence[int]]) -> "Sentences":
        """Returns the sentences of a list of id lists."""
        lengths = np.array([len(sentence) for sentence in sentences], int)
        return cls(np.fromiter(itertools.chain(*sentences), np.int32), lengths)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, row: int) -> np.ndarray:
        return self.ids[self._ends[row] - self.lengths[row] : self._ends[row]]


class EncodedSplit(NamedTuple):
    """A split as ids. The sentences of `target` end in EOS."""

    source: Sentences
    target: Sentences


class Batch(NamedTuple):
    """Padded sentence pairs. An empty row has lengths 0."""

    source: np.ndarray  # [b s] int32, then PAD
    source_lengths: np.ndarray  # [b] int32
    target: np.ndarray  # [b t] int32, EOS, then PAD
    target_lengths: np.ndarray  # [b] int32, with EOS
    rows: np.ndarray  # [b] int32, index in the split; EMPTY for an empty row
    links: np.ndarray | None = None  # [b t s] float32, 1 for a gold link; None unless a loss needs it


def count_symbols(sentences: "pyarrow.ChunkedArray") -> dict[str, int]:
    """Counts each symbol in a column of symbol lists."""
    return {item["values"]: item["counts"] for item in _flatten(sentences).value_counts().to_pylist()}


def encode(sentences: "pyarrow.ChunkedArray", vocabulary: Vocabulary, end: bool) -> Sentences:
    """Returns the ids of a column of symbol lists. With `end`, EOS ends each sentence."""
    import pyarrow.compute

    symbols = _flatten(sentences).dictionary_encode()
    ids = np.array(vocabulary.encode(symbols.dictionary.to_pylist()), np.int32)[_to_numpy(symbols.indices)]
    lengths = _to_numpy(pyarrow.compute.list_value_length(sentences).combine_chunks())
    return Sentences(np.insert(ids, lengths.cumsum(), EOS), lengths + 1) if end else Sentences(ids, lengths)


def _flatten(sentences: "pyarrow.ChunkedArray") -> "pyarrow.Array":
    import pyarrow.compute

    return pyarrow.compute.list_flatten(sentences).combine_chunks()


def _to_numpy(numbers: "pyarrow.Array") -> np.ndarray:
    """Returns an array without `pyarrow.Array.to_numpy`, which imports pandas."""
    return np.from_dlpack(numbers)


def _lengths(encoded: EncodedSplit) -> np.ndarray:
    return np.stack([encoded.source.lengths, encoded.target.lengths], axis=1).astype(np.int64)


def choose_shapes(encoded: EncodedSplit, shapes: int) -> tuple[Shape, ...]:
    """Returns at most `shapes` shapes, in ascending order, with the fewest padded symbols.

    Every shape fits inside the next one, and a row goes to the first shape that holds it. Dynamic programming finds the
    optimum among all such chains over the lengths that occur (at most `CANDIDATES` a side).
    """
    lengths = _lengths(encoded)
    sources, targets = (_candidates(side) for side in lengths.T)
    fit_counts = np.zeros((len(sources), len(targets)), np.int64)  # number of rows that each candidate holds
    np.add.at(fit_counts, (np.searchsorted(sources, lengths[:, 0]), np.searchsorted(targets, lengths[:, 1])), 1)
    fit_counts = fit_counts.cumsum(0).cumsum(1)
    size = sources[:, None] + targets[None]
    padded, inner = fit_counts * size, []  # fewest padded symbols of the rows inside, with 1, 2, ... shapes
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
    """Returns `padded` with one more shape, and the best shape inside each, [i j 2]: the shape itself if none helps."""
    better, previous = padded.copy(), np.zeros((*fit_counts.shape, 2), np.int64)
    for i, j in np.ndindex(fit_counts.shape):
        cost = padded[: i + 1, : j + 1] + (fit_counts[i, j] - fit_counts[: i + 1, : j + 1]) * size[i, j]
        previous[i, j] = np.unravel_index(len(cost.flat) - 1 - cost[::-1, ::-1].argmin(), cost.shape)
        better[i, j] = cost.min()
    return better, previous


def _first_fit(lengths: np.ndarray, shapes: Sequence[Shape]) -> np.ndarray:
    """Returns the index of the first shape that holds each row, [n]; `len(shapes)` where none does."""
    fits = np.less_equal(lengths[:, None], np.array(shapes)).all(axis=-1)
    return np.where(fits.any(axis=1), fits.argmax(axis=1), len(shapes))


def extend_shapes(encoded: EncodedSplit, shapes: tuple[Shape, ...]) -> tuple[Shape, ...]:
    """Returns `shapes`, and one more if some rows fit none of them."""
    lengths = _lengths(encoded)
    outside = lengths[_first_fit(lengths, shapes) == len(shapes)]
    return (*shapes, tuple(outside.max(axis=0).tolist())) if len(outside) else shapes


def real_fraction(encoded: EncodedSplit, shapes: tuple[Shape, ...]) -> float:
    """Returns the share of symbols that are not padding, source and target together. All rows must fit a shape."""
    lengths = _lengths(encoded)
    return float(lengths.sum() / np.array(shapes)[_first_fit(lengths, shapes)].sum())


def plan_batches(
    encoded: EncodedSplit, shapes: tuple[Shape, ...], batch_size: int, seed: int | None = None, epoch: int = 0
) -> list[tuple[int, np.ndarray]]:
    """Returns the batches of an epoch: for each, a shape's index and at most `batch_size` rows.

    Every row is in exactly one batch. With a seed, the rows within a shape and the batches are shuffled, as a pure
    function of (seed, epoch); without one, they are in order. The number of batches is the same in every epoch.

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
    """Returns the rows padded to `shape`, and empty rows up to `batch_size`; with links if `alignment` is given."""
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


class Bucket(NamedTuple):
    """Sources that are translated together."""

    rows: tuple[int, ...]  # index of each source
    length: int  # padded
    size: int  # padded number of rows


def bucket_sources(lengths: Sequence[int], max_rows: Callable[[int], int] = lambda length: MAX_ROWS) -> list[Bucket]:
    """Returns buckets that hold every source exactly once, the shortest first.

    A source is padded by less than half of its length, or to `MIN_SIZE`. Rows are padded to a power of two.

    Args:
      lengths: length of each source.
      max_rows: the most rows that fit into memory, for a padded length.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    buckets = []
    for length, group in itertools.groupby(order, key=lambda row: padded_length(lengths[row])):
        limit = max(1, min(MAX_ROWS, _power_at_most(MAX_SYMBOLS // length), _power_at_most(max_rows(length))))
        rows = tuple(group)
        for start in range(0, len(rows), limit):
            chunk = rows[start : start + limit]
            buckets.append(Bucket(chunk, length, min(limit, max(MIN_SIZE, _power_at_least(len(chunk))))))
    return buckets


def padded_length(length: int) -> int:
    """Returns the first of 8, 12, 16, 24, 32, 48 ... that is at least `length`."""
    power = max(MIN_SIZE, _power_at_least(length))
    step = 3 * power // 4
    return step if step > MIN_SIZE and length <= step else power


def max_length(fits: Callable[[int], bool]) -> int:
    """Returns the largest padded length that fits, at least `MIN_SIZE`."""
    length = MIN_SIZE
    while fits(longer := padded_length(length + 1)):
        length = longer
    return length


def _power_at_most(number: int) -> int:
    """Returns the largest power of two that is at most `number`."""
    return _power_at_least(number + 1) // 2


def _power_at_least(number: int) -> int:
    """Returns the smallest power of two that is at least `number` and at least 1."""
    return 1 << max(0, number - 1).bit_length()
