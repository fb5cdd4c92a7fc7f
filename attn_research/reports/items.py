"""Test items with their attention weights, as a finished run saves them."""

import contextlib
import io
import json
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from pathlib import Path

import numpy as np

from attn_research import storage
from attn_research.errors import UserError
from attn_research.storage import DamagedFileError

END = "</s>"


@dataclass(frozen=True)
class Item:
    """A test item with the output and the attention weights of one run.

    `weights` are [t s], with t output steps, including the end symbol's, and s source symbols (0 without attention).
    """

    source: Sequence[str]
    output: Sequence[str]
    weights: np.ndarray
    references: Sequence[Sequence[str]] = ()
    alignment: Sequence[tuple[int, int]] = ()  # gold (source index, target index) pairs

    @property
    def attends(self) -> bool:
        return self.weights.shape[1] > 0

    @cached_property
    def output_symbols(self) -> list[str]:
        """The output symbols, one for each row of the weights: the last is the end symbol if it has a row."""
        return [*self.output, *[END] * (len(self.weights) - len(self.output))]

    @cached_property
    def wrong(self) -> set[int]:
        """Steps whose symbol differs from the reference that agrees with the output at most positions."""
        references = [[*reference, END] for reference in self.references]
        different = [
            {step for step, pair in enumerate(zip_longest(self.output_symbols, reference)) if len(set(pair)) > 1}
            for reference in references
        ]
        return min(different, key=len, default=set()) & set(range(len(self.output_symbols)))


def bin_item(item: Item, source: int, output: int) -> Item:
    """Groups neighboring symbols. A group is named by the position of its first symbol, from 0.

    Weights are summed over the source symbols of a group and averaged over its output symbols, so rows still sum to
    one.

    Args:
      item: the item to group, returned unchanged if both sizes are 1.
      source: source symbols in a group.
      output: output symbols in a group.
    """
    if source == output == 1:
        return item
    columns, rows = range(0, len(item.source), source), range(0, len(item.weights), output)
    weights = item.weights
    if item.weights.size:
        sizes = np.diff([*rows, len(item.weights)])
        weights = np.add.reduceat(np.add.reduceat(weights, columns, axis=1), rows, axis=0) / sizes[:, None]
    alignment = sorted({(i // source, j // output) for i, j in item.alignment})
    weights = weights[: len(rows)]
    return Item([*map(str, columns)], [*map(str, rows)], weights, alignment=alignment)


def load_item(directory: str | Path, index: int) -> Item:
    """Loads test item `index` of a finished run.

    Raises:
      UserError: the run saved no weights, or not those of this item, or a file is damaged.
    """
    lines, maps = _output_files(directory)
    with _damaged_file_errors(maps), np.load(io.BytesIO(storage.read(maps)), allow_pickle=False) as arrays:
        if str(index) not in arrays:
            raise UserError(f"{maps} has the weights of items 0 to {len(arrays.files) - 1}, but not of item {index}")
        weights = arrays[str(index)]
    with _damaged_file_errors(lines):
        return _parse_item(storage.read(lines).decode().split("\n")[index], weights)


def load_items(directory: str | Path, most: int) -> list[Item]:
    """Loads the first `most` test items of a finished run whose weights it saved. Errors are as in `load_item`."""
    lines, maps = _output_files(directory)
    with _damaged_file_errors(maps), np.load(io.BytesIO(storage.read(maps)), allow_pickle=False) as arrays:
        weights = [arrays[str(index)] for index in range(min(most, len(arrays.files)))]
    with _damaged_file_errors(lines):
        texts = storage.read(lines).decode().split("\n")
        return [_parse_item(texts[index], array) for index, array in enumerate(weights)]


def _output_files(directory: str | Path) -> tuple[Path, Path]:
    """Returns the files of the outputs and of the weights of a finished run."""
    outputs = Path(directory) / "outputs"
    paths = outputs / "test.jsonl", outputs / "attention.npz"
    for path in paths:
        if not path.is_file():
            raise UserError(f"there is no {path}, so the run is not finished and its attention cannot be drawn")
    return paths


def _parse_item(text: str, weights: np.ndarray) -> Item:
    line = json.loads(text)
    gold = [tuple(pair) for pair in line["alignment"]] if "alignment" in line else ()
    return Item(line["source"], line["output"], weights, line["references"], gold)


@contextlib.contextmanager
def _damaged_file_errors(path: Path) -> Iterator[None]:
    """Turns any error of reading into a DamagedFileError, for files without a checksum."""
    try:
        yield
    except UserError:
        raise
    except (ValueError, LookupError, TypeError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise DamagedFileError(f"{path} is damaged: {type(error).__name__}: {error}") from error
