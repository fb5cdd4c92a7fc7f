"""From a config's data to vocabularies and encoded splits."""

import functools
import hashlib
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attn_research import config
from attn_research.data import task
from attn_research.data.batching import EncodedSplit, Shape, choose_shapes, count_symbols, encode, extend_shapes
from attn_research.data.segmentation import LearnedSegmentation, Segmentation
from attn_research.data.vocab import Vocabulary
from attn_research.errors import UserError
from attn_research.metrics.text import check_tokenizer, choose_tokenizer
from attn_research.registry import Spec
from attn_research.training.data_checks import warn_of_low_bleu, warn_of_other_symbols

if TYPE_CHECKING:
    import pyarrow

SIDES = ("source", "target")
SAMPLE = 1000  # training items whose lines tell the script of the targets
MEMORY = 10**9  # bytes of the attention weights of a batch along the references, at most


class Split(NamedTuple):
    """One split, as it came and as ids."""

    data: "pyarrow.Table"
    encoded: EncodedSplit
    shapes: tuple[Shape, ...]
    segmentation: Segmentation  # of the target
    tokenize: str  # BLEU's tokenizer, if outputs are to be scored as text

    @property
    def references(self) -> list[list[list[str]]]:
        """The right answers of every item."""
        return self.column("references") or [[target] for target in self.column("target")]

    @property
    def raw(self) -> list[list[str]] | None:
        """The right lines of every item, if outputs are to be scored as text."""
        return self.column("raw")

    def column(self, name: str) -> list | None:
        """A column that not every task has."""
        return self.data[name].to_pylist() if name in self.data.column_names else None


class PreparedData(NamedTuple):
    """Everything that a run knows of its data; the vocabularies are the training split's."""

    source: Vocabulary
    target: Vocabulary
    splits: dict[str, Split]
    segmentations: tuple[Segmentation, Segmentation]  # of source and target

    def save(self, directory: Path) -> None:
        """Writes what a translator needs."""
        for side, vocabulary, segmentation in zip(SIDES, self[:2], self.segmentations, strict=True):
            vocabulary.save(directory / f"vocabulary_{side}.json")
            if isinstance(segmentation, LearnedSegmentation):
                segmentation.save(directory / f"segmentation_{side}.json")

    def fingerprint(self) -> str:
        """First 16 hex characters of a sha256 over the ids of all splits."""
        sha = hashlib.sha256()
        for split in self.splits.values():
            for sentence in itertools.chain(*split.encoded):
                sha.update(np.int32(len(sentence)).tobytes() + sentence.tobytes())
        return sha.hexdigest()[:16]


@functools.lru_cache(maxsize=4)
def prepare(data: config.Data) -> PreparedData:
    """Loads the task, builds the vocabularies and chooses the shapes.

    Raises:
      UserError: bad data, told with its file and line.
    """
    import pyarrow

    tables = task.tables(data.task)
    source, target = (Vocabulary.build(count_symbols(tables["train"][side])) for side in SIDES)
    encoded = {
        name: EncodedSplit(encode(table["source"], source, end=False), encode(table["target"], target, end=True))
        for name, table in tables.items()
    }
    pyarrow.default_memory_pool().release_unused()  # it would keep as much as the ids take
    shapes = choose_shapes(encoded["train"], data.shapes)
    learned = task.learns_segmentation(data.task)
    segmentations = (
        task.load(data.task).segmentations if learned else task.default_segmentations(data.task, target.symbols)
    )
    tokenize = _tokenizer(data.task, tables["train"])
    warn_of_low_bleu(data.task, tables["dev"], tokenize)
    if not learned:
        warn_of_other_symbols(data.task, tables["dev"], segmentations[0])
    splits = {
        name: Split(table, encoded[name], extend_shapes(encoded[name], shapes), segmentations[1], tokenize)
        for name, table in tables.items()
    }
    for name, split in splits.items():
        _check_memory(name, split, data.batch_size)
    return PreparedData(source, target, splits, segmentations)


def _check_memory(name: str, split: Split, batch_size: int) -> None:
    """Refuses a row so long that a batch of its shape would take gigabytes."""
    s, t = max(split.shapes)
    size = 4 * batch_size * s * t
    if size > MEMORY:
        source, target = split.encoded.source.lengths, split.encoded.target.lengths
        row = int((source + target).argmax())
        where = split.column("where")[row] if split.column("where") else f"item {row} of split {name!r}"
        raise UserError(
            f"{where} has {source[row]} source and {target[row]} target symbols, so that the attention weights of a "
            f"batch take {size / 1e9:.1f} GB, but must take at most 1; leave it out, or lower data.batch_size"
        )


def saved_files(spec: Spec) -> list[str]:
    """The names of the files that `PreparedData.save` writes for a task."""
    kinds = ("vocabulary", "segmentation") if task.learns_segmentation(spec) else ("vocabulary",)
    return [f"{kind}_{side}.json" for kind in kinds for side in SIDES]


def _tokenizer(spec: Spec, train: "pyarrow.Table") -> str:
    """BLEU's tokenizer: the one that the task's `tokenize` names, or the one for the script of its targets."""
    hyper = task.tasks.bind(spec).hyper
    if "tokenize" in hyper and hyper["tokenize"] != "auto":
        check_tokenizer(hyper["tokenize"])
        return hyper["tokenize"]
    lines = train["raw"].slice(0, SAMPLE).to_pylist() if "raw" in train.column_names else []
    return choose_tokenizer(line for right in lines for line in right)


def load_sides(directory: Path, spec: Spec) -> tuple[list[Vocabulary], Sequence[Segmentation]]:
    """Source's and target's vocabularies and segmentations, as `PreparedData.save` wrote them."""
    vocabularies = [Vocabulary.load(directory / f"vocabulary_{side}.json") for side in SIDES]
    if task.learns_segmentation(spec):
        return vocabularies, [LearnedSegmentation.load(directory / f"segmentation_{side}.json") for side in SIDES]
    return vocabularies, task.default_segmentations(spec, vocabularies[1].symbols)
