"""From a config's data to vocabularies and encoded splits."""

import functools
import hashlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attn_research import config
from attn_research.data import task
from attn_research.data.batching import Encoded, Shape, choose_shapes, cover, encode
from attn_research.data.vocab import Vocabulary

if TYPE_CHECKING:
    from datasets import Dataset


class Split(NamedTuple):
    """One split, as it came and as ids."""

    data: "Dataset"
    encoded: Encoded
    shapes: tuple[Shape, ...]

    @property
    def references(self) -> list[list[list[str]]]:
        """The right answers of every item."""
        if "references" in self.data.column_names:
            return self.data["references"][:]
        return [[target] for target in self.data["target"][:]]

    def column(self, name: str) -> list | None:
        """A column that not every task has."""
        return self.data[name][:] if name in self.data.column_names else None


class Prepared(NamedTuple):
    """Everything that a run knows of its data; the vocabularies are the training split's."""

    source: Vocabulary
    target: Vocabulary
    splits: dict[str, Split]

    def fingerprint(self) -> str:
        """First 16 hex characters of a sha256 over the ids of all splits."""
        sha = hashlib.sha256()
        for split in self.splits.values():
            for sentence in (*split.encoded.source, *split.encoded.target):
                sha.update(np.int32(len(sentence)).tobytes() + sentence.tobytes())
        return sha.hexdigest()[:16]


@functools.lru_cache(maxsize=1)
def prepare(data: config.Data) -> Prepared:
    """Loads the task, builds the vocabularies and chooses the shapes.

    Raises:
      ValueError: bad data, told with its file and line.
    """
    loaded = task.load(data.task)
    source, target = (Vocabulary.build(loaded["train"][side][:]) for side in ("source", "target"))
    encoded = {name: encode(split, source, target) for name, split in loaded.items()}
    shapes = choose_shapes(encoded["train"], data.shapes)
    splits = {name: Split(split, encoded[name], cover(encoded[name], shapes)) for name, split in loaded.items()}
    return Prepared(source, target, splits)
