"""Vocabularies: symbols to ids and back."""

import functools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from attn_research import storage
from attn_research.storage import DamagedFileError

PAD, BOS, EOS, UNK = range(4)
UNKNOWN = "<unk>"  # the symbol of UNK


@dataclass(frozen=True)
class Vocabulary:
    """The known symbols. Their ids follow PAD, BOS, EOS and UNK.

    >>> vocabulary = Vocabulary(("a", "b"))
    >>> vocabulary.encode(["b", "c"])
    [5, 3]
    >>> vocabulary.decode([5, 3, EOS, 4])
    ['b', '<unk>']
    """

    symbols: tuple[str, ...]

    @classmethod
    def build(cls, counts: Mapping[str, int]) -> "Vocabulary":
        """Returns the vocabulary of all symbols except UNKNOWN, most frequent first, ties in alphabetical order.

        Args:
          counts: how often each symbol occurs in the training split.
        """
        known = counts.keys() - {UNKNOWN}
        return cls(tuple(sorted(known, key=lambda symbol: (-counts[symbol], symbol))))

    @functools.cached_property
    def _ids(self) -> dict[str, int]:
        return {symbol: id for id, symbol in enumerate(self.symbols, UNK + 1)}

    def __len__(self) -> int:
        """The number of ids, including the four special ones."""
        return UNK + 1 + len(self.symbols)

    def encode(self, sentence: Iterable[str]) -> list[int]:
        """Returns the ids of the symbols, UNK for an unknown one. Adds no EOS."""
        return [self._ids.get(symbol, UNK) for symbol in sentence]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Returns the symbols of the ids before the first EOS, without PAD and BOS."""
        sentence = []
        for id in ids:
            if id == EOS:
                break
            if id not in (PAD, BOS):
                sentence.append(UNKNOWN if id == UNK else self.symbols[id - UNK - 1])
        return sentence

    def save(self, path: str | Path) -> None:
        """Writes the symbols as a JSON list."""
        storage.write(path, json.dumps(self.symbols, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> "Vocabulary":
        """Reads a vocabulary that `save` wrote.

        Raises:
          DamagedFileError: the file is missing or damaged.
        """
        symbols = storage.read_json(Path(path))
        if not (isinstance(symbols, list) and all(isinstance(symbol, str) for symbol in symbols)):
            raise DamagedFileError(f"{path} is damaged: it is not a list of symbols")
        return cls(tuple(symbols))
