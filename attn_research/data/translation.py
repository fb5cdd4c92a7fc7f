"""The tasks `translation` and `tokenized`: sentences from one language to another."""

import functools
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal

from attn_research.annotations import Length, Range
from attn_research.data import parallel
from attn_research.data.alignments import Links, find_alignments, read_alignments
from attn_research.data.parallel import Pairs
from attn_research.data.segmentation import Joiner, LearnedSegmentation, Tokens, Units
from attn_research.data.task import DatasetDict, from_columns, tasks
from attn_research.errors import UserError
from attn_research.registry import require

MAX_LISTED = 5  # line numbers in a warning about pairs that are left out
Sides = tuple[LearnedSegmentation, LearnedSegmentation]  # (source, target)
TokenSides = tuple[Tokens, Tokens]
Tokenizer = Literal["auto", "13a", "intl", "zh", "char", "none", "ja-mecab", "ko-mecab"]
log = logging.getLogger(__name__)


def check_files(
    task: str, path: str, source: str, target: str, test: str, align: str = "", held_out: int = 0, **_: object
) -> None:
    """Checks that the files of the task exist. Does not ask the hub.

    Raises:
      UserError: `path` is empty, or the folder or a file is missing; or a data set of the hub is to have alignments.
    """
    example = f'{task}(path="multi30k") or {task}(path="hub:bentrevett/multi30k")'
    require(path not in ("", parallel.HUB), f"task {task} needs the folder of its files, as in {example}")
    if not path.startswith(parallel.HUB):
        parallel.find_files(path, (source, target), test, held_out)
    if align and path.startswith(parallel.HUB):
        raise UserError(f"align is {align!r}, but only a folder of files has alignments, and path is {path!r}")
    if align:
        find_alignments(path, (source, target), test, align, held_out)


def read_test(files: Sequence[Path], segmentations: Sides, align_target_first: bool, **_: object) -> dict[str, list]:
    """Reads a source file, a target file and, optionally, a file with gold word alignments.

    Raises:
      UserError: the number of files is wrong, or a file cannot be read, or its lines do not belong together.
    """
    if len(files) not in (2, 3):
        raise UserError(
            f"a test set of task translation is a source file, a target file and optionally an alignment file, not "
            f"{len(files)} files"
        )
    pairs = _without_empty("test", parallel.read_files(*files[:2]))
    columns = _columns(pairs, segmentations) | {"raw_source": list(pairs.sources)}
    if len(files) == 2:
        return columns
    return columns | _links(pairs, segmentations, read_alignments(files[2], pairs, align_target_first))


@tasks.register(
    symbols="learned",
    explicit=("vocabulary",),
    check_files=lambda hyper: functools.partial(check_files, "translation", **hyper),
    read_test=lambda hyper: functools.partial(read_test, **hyper),
)
def translation(
    path: str = "",
    source: str = "de",
    target: str = "en",
    test: str = "test",
    units: Units = "subwords",
    vocabulary: Annotated[int, Range(minimum=1, maximum=1_000_000)] = 8000,
    joint: bool = False,
    lowercase: bool = False,
    min_count: Annotated[int, Range(minimum=1, maximum=1_000_000)] = 1,
    longest: Length = 100,
    held_out: Annotated[int, Range(minimum=0, maximum=1_000_000)] = 0,
    configuration: str = "",
    align: str = "",
    align_target_first: bool = False,
    tokenize: Tokenizer = "auto",
) -> DatasetDict:
    """Line-aligned text files or a data set of the Hugging Face hub.

    Args:
      path: a folder with train.de, train.en, dev.* (or val.*) and test.*, each plain or .gz. A relative path is
        resolved in the working directory, then in $ATTN_RESEARCH_DATA. Or `hub:NAME`, as in
        `hub:bentrevett/multi30k`: a data set with a column for each language, or with a column `translation` of texts
        by language (as wmt, opus_books and iwslt have).
      source: language of the source, the file suffix or the column.
      target: language of the target.
      test: the name of the test split there, as in `test="test_2016_flickr"`. Others named test_<name> in both
        languages are further test splits.
      units: `words`, the most frequent words and punctuation marks of the training split, or `subwords`, by byte-pair
        encoding (Sennrich et al. 2016).
      vocabulary: the number of units of each language, or with `joint` of both together.
      joint: learn one vocabulary for both languages.
      lowercase: lowercase both languages, and the lines that outputs are scored against, as papers on lower-cased text
        do. The signatures of BLEU and chrF then have `case:lc`.
      min_count: how often a word must occur in the training split to be in the vocabulary. For subwords: how often two
        subwords must occur together to be merged.
      longest: leave out training pairs with more symbols on a side.
      held_out: without files or a split for dev, hold out as many training pairs, evenly spread, as dev. `longest` then
        applies to dev, too.
      configuration: the configuration of a hub data set that has several, as in `de-en`.
      align: the suffix of files with gold word alignments, as in `align="align"` for test.align or test.align.gz. The
        formats are those of data/alignments.py, and words are what spaces separate. Evaluation then measures `word_aer`
        and its relatives on the splits that have such a file. That of train is not read.
      align_target_first: links in these files are target word, source word, as in files made for the opposite
        direction.
      tokenize: BLEU's tokenizer. `auto` is `zh` for Chinese targets, `char` for Japanese, Thai, Lao, Tibetan, Burmese
        and Khmer, and sacrebleu's default `13a` for all others. `ja-mecab` and `ko-mecab` need extra packages.

    Lines are read, and outputs scored, in composed form (NFC) and with single spaces. Training pairs with an empty line
    are left out, too; a warning names the pairs that are left out. Dev and test pairs
    are never left out, except held-out ones.

    Raises:
      UserError: a folder, file, data set, configuration or column is missing or cannot be read, the two sides have
        different numbers of lines, dev or test has an empty line, the vocabulary is too small, or an alignment is
        outside of its pair.
    """
    require(bool(align) or not align_target_first, "align_target_first is True, but align names no files")
    check_files("translation", path, source, target, test, align, held_out)
    pairs = parallel.read_pairs(path, (source, target), test, configuration, held_out)
    limited = ("train", "dev") if held_out else ("train",)
    pairs = {split: _without_empty("train" if split in limited else split, pairs[split]) for split in pairs}
    learn = functools.partial(
        LearnedSegmentation.learn, units=units, vocabulary=vocabulary, lowercase=lowercase, min_count=min_count
    )
    segmentations = _learn(pairs["train"], joint, learn)
    pairs |= {split: _without_long(pairs[split], segmentations, longest) for split in limited}
    files = find_alignments(path, (source, target), test, align, held_out) if align else {}
    links = {split: read_alignments(file, pairs[split], align_target_first) for split, file in files.items()}
    splits = from_columns(
        {
            split: _columns(lines, segmentations)
            | ({"raw_source": list(lines.sources)} if split != "train" else {})
            | (_links(lines, segmentations, links[split]) if split in links else {})
            for split, lines in pairs.items()
        }
    )
    splits.segmentations = segmentations
    return splits


@tasks.register(
    symbols=lambda hyper: "tokens and end" if hyper["end"] else "tokens",
    outputs=lambda hyper: hyper["joiner"],
    check_files=lambda hyper: functools.partial(check_files, "tokenized", **hyper),
)
def tokenized(
    path: str = "",
    source: str = "de",
    target: str = "en",
    test: str = "test",
    end: bool = False,
    joiner: Joiner = "none",
    longest: Length = 10_000,
    configuration: str = "",
    tokenize: Tokenizer = "auto",
) -> DatasetDict:
    """Sentences as `translation`, already segmented by another program: spaces separate the symbols.

    Args:
      end: a source ends in the symbol </s>, as in Joey NMT and fairseq.
      joiner: joins subwords to words before outputs and references are scored: `subword-nmt` (a@@ b), `sentencepiece`
        (▁a b) or `none`.

    The other arguments and the errors are those of `translation`. No character is changed.
    """
    check_files("tokenized", path, source, target, test)
    pairs = parallel.read_pairs(path, (source, target), test, configuration)
    pairs = {split: _without_empty(split, lines) for split, lines in pairs.items()}
    segmentations = Tokens(end), Tokens()
    pairs["train"] = _without_long(pairs["train"], segmentations, longest)
    return from_columns({split: _columns(lines, segmentations) for split, lines in pairs.items()})


def _learn(train: Pairs, joint: bool, learn: Callable[[Sequence[str]], LearnedSegmentation]) -> Sides:
    if joint:
        return (learn([*train.sources, *train.targets]),) * 2
    return learn(train.sources), learn(train.targets)


def _columns(pairs: Pairs, segmentations: Sides | TokenSides) -> dict[str, list]:
    return {
        "source": segmentations[0].split_all(pairs.sources),
        "target": segmentations[1].split_all(pairs.targets),
        "raw": [[line] for line in pairs.targets],
        "where": [pairs.where(i) for i in range(len(pairs.numbers))],
    }


def _links(pairs: Pairs, segmentations: Sides, links: Sequence[Links]) -> dict[str, list]:
    return {
        "sure": [one.sure for one in links],
        "possible": [one.possible for one in links],
        "source_words": segmentations[0].words_all(pairs.sources),
        "target_words": segmentations[1].words_all(pairs.targets),
    }


def _without_empty(split: str, pairs: Pairs) -> Pairs:
    def is_full(i: int) -> bool:
        return bool(pairs.sources[i].strip() and pairs.targets[i].strip())

    empty = [i for i in range(len(pairs.numbers)) if not is_full(i)]
    if empty and split != "train":
        raise UserError(f"{pairs.where(empty[0])} is empty on one side, and only training pairs can be left out")
    return _filter_pairs(pairs, is_full, "have an empty line")


def _without_long(pairs: Pairs, segmentations: Sides | TokenSides, longest: int) -> Pairs:
    sources, targets = segmentations[0].split_all(pairs.sources), segmentations[1].split_all(pairs.targets)

    def fits(i: int) -> bool:
        return max(len(sources[i]), len(targets[i])) <= longest

    return _filter_pairs(pairs, fits, f"have more than {longest} symbols on a side")


def _filter_pairs(pairs: Pairs, fits: Callable[[int], bool], reason: str) -> Pairs:
    """Returns the pairs that fit. Logs a warning with the number of the others and the first of their lines."""
    indices = [i for i in range(len(pairs.numbers)) if fits(i)]
    if len(indices) < len(pairs.numbers):
        numbers = sorted(set(pairs.numbers) - {pairs.numbers[i] for i in indices})
        listed = ", ".join(map(str, numbers[:MAX_LISTED])) + (" ..." if len(numbers) > MAX_LISTED else "")
        total = f"{len(numbers):,} of {len(pairs.numbers):,} pairs"
        log.warning("%s: %s %s and are left out (line %s)", pairs.title, total, reason, listed)
    return pairs.select(indices)
