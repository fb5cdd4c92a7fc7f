"""Vocabularies of other systems: text files with a symbol a line, in the order of the rows of their embeddings."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from attn_research.data import files
from attn_research.data.segmentation import END
from attn_research.data.vocab import BOS, UNKNOWN, Vocabulary
from attn_research.errors import UserError


class Specials(NamedTuple):
    """The special symbols of a system, and how a file lists them."""

    names: tuple[str, str, str, str]  # padding, start, end, unknown: the order of PAD, BOS, EOS, UNK
    order: tuple[str, ...]  # the first symbols of a vocabulary whose file does not list them
    start: str  # the symbol that the decoder reads first
    ends_source: bool  # whether a source ends in the end symbol
    counts: bool = False  # whether a line is a symbol and its count


class Symbols(NamedTuple):
    """A vocabulary, and the rows of another system's tables that its ids have."""

    path: Path
    size: int  # rows of their tables
    vocabulary: Vocabulary
    rows: np.ndarray  # [n] row of each id; -1 if they have none
    start: int  # row of the symbol that the decoder reads first; -1 if they have none

    def select(self, table: np.ndarray, starts: bool) -> np.ndarray:
        """Returns their rows in the order of our ids, and zeros where they have none.

        Args:
          starts: whether BOS gets the row of the symbol that the decoder reads first.
        """
        rows = self.rows.copy()
        rows[BOS] = self.start if starts else rows[BOS]
        present = (rows >= 0).reshape(-1, *[1] * (table.ndim - 1))
        return np.where(present, table[rows], 0).astype(table.dtype)


def read(path: Path, specials: Specials, side: str) -> Symbols:
    """Reads the vocabulary of a side, "source" or "target".

    Raises:
      UserError: the file cannot be read, a line is empty, repeated or has no count, or the target lacks a special
        symbol.
    """
    lines = [_symbol(line, f"{path}:{number}", specials) for number, line in enumerate(files.read_lines(path), 1)]
    _reject_repeated(lines, path)
    listed = set(lines)
    prefix = () if listed.issuperset(specials.order) else specials.order
    theirs = list(dict.fromkeys([*prefix, *lines]))
    row = {symbol: number for number, symbol in enumerate(theirs)}
    if side == "target":
        for name in specials.names:
            if name not in row:
                raise UserError(f"{path} does not list {name!r}, which every target vocabulary of this system has")
    ends = [END] if side == "source" and specials.ends_source else []
    ours = [symbol for symbol in theirs if symbol not in (*specials.names, UNKNOWN)] + ends
    rows = np.array([row.get(symbol, -1) for symbol in [*specials.names, *ours]])
    return Symbols(path, len(theirs), Vocabulary(tuple(ours)), rows, row.get(specials.start, -1))


def _symbol(line: str, place: str, specials: Specials) -> str:
    """Returns the symbol of a line, without its count."""
    if specials.counts:
        line, _, count = line.removesuffix(" #fairseq:overwrite").rpartition(" ")
        if not count.isdecimal():
            raise UserError(f"{place} is not of the form SYMBOL COUNT, as in a dict.de.txt of fairseq")
    if not line:
        raise UserError(f"{place} has no symbol")
    return line


def _reject_repeated(lines: list[str], path: Path) -> None:
    first: dict[str, int] = {}
    for number, symbol in enumerate(lines, 1):
        if first.setdefault(symbol, number) != number:
            raise UserError(f"{path}:{number} has the symbol {symbol!r} of line {first[symbol]} again")
