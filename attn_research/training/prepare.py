"""Prepares the data of a run: vocabularies, encoded splits and padded shapes, with checks and warnings."""

import functools
import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attn_research import config
from attn_research.attention.attention import max_source_length
from attn_research.data import task
from attn_research.data.batching import EncodedSplit, Shape, choose_shapes, count_symbols, encode, extend_shapes
from attn_research.data.segmentation import LearnedSegmentation, Segmentation
from attn_research.data.vocab import Vocabulary
from attn_research.errors import UserError, nearest
from attn_research.metrics.text import SCORERS, check_tokenizer, choose_tokenizer, perfect_bleu
from attn_research.registry import Spec
from attn_research.training import auxiliary

if TYPE_CHECKING:
    import pyarrow

SIDES = ("source", "target")
SCRIPT_SAMPLE = 1000  # training items from which the script of the targets is detected
SYMBOLS_SAMPLE = 500  # items of dev that are split again from their text
PERFECT_BLEU = 99.5
SYMBOL_METRICS = {"wer", "per", "per_mean", "edits"}  # of outputs that are not scored as text
MAX_WEIGHTS = 10**9  # bytes of the attention weights of a batch with teacher forcing

log = logging.getLogger(__name__)


class Split(NamedTuple):
    """One split as a table and as ids."""

    data: "pyarrow.Table"
    encoded: EncodedSplit
    shapes: tuple[Shape, ...]
    segmentation: Segmentation  # of the target
    tokenize: str  # tokenizer of BLEU, if outputs are scored as text

    @property
    def references(self) -> list[list[list[str]]]:
        """The references of every item as symbols."""
        return self.column("references") or [[target] for target in self.data["target"].to_pylist()]

    @property
    def raw(self) -> list[list[str]] | None:
        """The references of every item as lines, if outputs are scored as text."""
        return self.column("raw")

    def column(self, name: str) -> list | None:
        """Returns a column; None if the task does not have it."""
        return self.data[name].to_pylist() if name in self.data.column_names else None


class PreparedData(NamedTuple):
    """The data of a run. The vocabularies are built from the training split."""

    source: Vocabulary
    target: Vocabulary
    splits: dict[str, Split]
    segmentations: tuple[Segmentation, Segmentation]  # of source and target

    def save(self, directory: Path) -> None:
        """Writes the vocabularies and segmentations, which a translator needs."""
        for side, vocabulary, segmentation in zip(SIDES, self[:2], self.segmentations, strict=True):
            vocabulary.save(directory / f"vocabulary_{side}.json")
            if isinstance(segmentation, LearnedSegmentation):
                segmentation.save(directory / f"segmentation_{side}.json")

    def fingerprint(self) -> str:
        """Returns the first 16 hex digits of the sha256 of the ids of all splits."""
        sha = hashlib.sha256()
        for split in self.splits.values():
            for side in split.encoded:
                for row in range(len(side)):
                    sha.update(np.int32(len(side[row])).tobytes() + side[row].tobytes())
        return sha.hexdigest()[:16]


@functools.lru_cache(maxsize=4)
def prepare(data: config.Data) -> PreparedData:
    """Loads the task, builds the vocabularies, encodes the splits and chooses the padded shapes.

    Raises:
      UserError: the data is invalid; the message names file and line.
    """
    return prepare_with(data, None)


def prepare_with(data: config.Data, vocabularies: tuple[Vocabulary, Vocabulary] | None) -> PreparedData:
    """Prepares the data as `prepare` does, with given vocabularies of source and target if there are any."""
    import pyarrow

    tables = task.tables(data.task)
    source, target = vocabularies or [Vocabulary.build(count_symbols(tables["train"][side])) for side in SIDES]
    encoded = {
        name: EncodedSplit(encode(table["source"], source, end=False), encode(table["target"], target, end=True))
        for name, table in tables.items()
    }
    pyarrow.default_memory_pool().release_unused()  # otherwise it holds as much memory as the ids
    shapes = choose_shapes(encoded["train"], data.shapes)
    learned = task.learns_segmentation(data.task)
    segmentations = (
        task.load(data.task).segmentations if learned else task.default_segmentations(data.task, target.symbols)
    )
    tokenize = bleu_tokenizer(data.task, tables["train"])
    _warn_low_bleu(data.task, tables["dev"], tokenize)
    if not learned:
        _warn_other_symbols(data.task, tables["dev"], segmentations[0])
    splits = {
        name: Split(table, encoded[name], extend_shapes(encoded[name], shapes), segmentations[1], tokenize)
        for name, table in tables.items()
    }
    for name, split in splits.items():
        check_memory(name, split, data.batch_size)
    return PreparedData(source, target, splits, segmentations)


def load_data(run: config.Config, vocabularies: tuple[Vocabulary, Vocabulary] | None = None) -> PreparedData:
    """Prepares the data of a run and checks that score, auxiliary losses and checkpoint selection can use it.

    Args:
      vocabularies: of source and target; None: those of the training split.

    Raises:
      UserError: the data is invalid or does not fit the config.
    """
    data = prepare(run.data) if vocabularies is None else prepare_with(run.data, vocabularies)
    score = run.model.attention.score
    has_links = "alignment" in data.splits["train"].data.column_names
    auxiliary.check(run.train, score, run.data.task, has_links)
    _check_select(run.train.select, data.splits["dev"], run.data.task)
    tables = {name: split.data for name, split in data.splits.items()}
    task.check_lengths(tables, max_source_length(score), f"score {score}")
    return data


def _check_select(select: str, dev: Split, spec: Spec) -> None:
    """Raises a UserError if the metric that selects the best checkpoint is not measured on dev."""
    known = {"loss", "token", "exact"} | (set(SCORERS) if dev.raw else SYMBOL_METRICS)
    if select not in known:
        raise UserError(
            f"train.select is {select!r}, which is not measured on the outputs of task {spec}; {nearest(select, known)}"
        )


def check_memory(name: str, split: Split, batch_size: int) -> None:
    """Raises a UserError if a row is so long that a batch of its shape takes more than `MAX_WEIGHTS`."""
    size = 4 * batch_size * max(s * t for s, t in split.shapes)
    if size > MAX_WEIGHTS:
        source, target = split.encoded.source.lengths, split.encoded.target.lengths
        row = int((source + target).argmax())
        places = split.column("where")
        place = places[row] if places else f"item {row} of split {name!r}"
        raise UserError(
            f"{place} has {source[row]} source and {target[row]} target symbols, so that the attention weights of a "
            f"batch take {size / 1e9:.1f} GB, but must take at most 1; leave it out, or lower data.batch_size"
        )


def _warn_other_symbols(spec: Spec, dev: "pyarrow.Table", segmentation: Segmentation) -> None:
    """Warns if `translate` would split a source line into other symbols than the task does."""
    for item, symbols in enumerate(dev["source"].slice(0, SYMBOLS_SAMPLE).to_pylist()):
        line = segmentation.join(symbols)
        if (result := segmentation.split(line)) != symbols:
            log.warning(
                "task %s: `translate` would split the line %r, item %d of dev, into %s, but its symbols are %s; "
                'register the task with symbols="words" or another segmentation',
                spec,
                line,
                item,
                result[:8],
                symbols[:8],
            )
            return


def _warn_low_bleu(spec: Spec, dev: "pyarrow.Table", tokenize: str) -> None:
    """Warns if outputs equal to the references of dev would have a low BLEU."""
    lines: Sequence[Sequence[str]] = dev["raw"].to_pylist() if "raw" in dev.column_names else []
    if lines and (best := perfect_bleu(lines, tokenize)) < PERFECT_BLEU:
        log.warning(
            "task %s: a perfect output has BLEU %.1f on dev, because its lines have fewer than four tokens (tok:%s)",
            spec,
            best,
            tokenize,
        )


def saved_files(spec: Spec) -> list[str]:
    """Returns the names of the files that `PreparedData.save` writes for a task."""
    kinds = ("vocabulary", "segmentation") if task.learns_segmentation(spec) else ("vocabulary",)
    return [f"{kind}_{side}.json" for kind in kinds for side in SIDES]


def bleu_tokenizer(spec: Spec, table: "pyarrow.Table") -> str:
    """Returns the tokenizer of BLEU: the task's option `tokenize`, or the one for the script of its targets."""
    hyper = task.tasks.bind(spec).hyper
    if "tokenize" in hyper and hyper["tokenize"] != "auto":
        check_tokenizer(hyper["tokenize"])
        return hyper["tokenize"]
    lines = table["raw"].slice(0, SCRIPT_SAMPLE).to_pylist() if "raw" in table.column_names else []
    return choose_tokenizer(line for right in lines for line in right)


def load_sides(directory: Path, spec: Spec) -> tuple[list[Vocabulary], Sequence[Segmentation]]:
    """Loads the vocabularies and segmentations of source and target that `PreparedData.save` wrote."""
    vocabularies = [Vocabulary.load(directory / f"vocabulary_{side}.json") for side in SIDES]
    if task.learns_segmentation(spec):
        return vocabularies, [LearnedSegmentation.load(directory / f"segmentation_{side}.json") for side in SIDES]
    return vocabularies, task.default_segmentations(spec, vocabularies[1].symbols)
