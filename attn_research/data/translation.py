"""Sentences from one language to another."""

import functools
import logging
from collections.abc import Callable
from typing import Annotated, Literal

from attn_research.annotations import Length, Range
from attn_research.data import parallel
from attn_research.data.parallel import Pairs
from attn_research.data.segmentation import LearnedSegmentation
from attn_research.data.task import DatasetDict, from_columns, tasks
from attn_research.errors import UserError
from attn_research.registry import require

MAX_LISTED = 5  # left-out pairs whose numbers are told
Sides = tuple[LearnedSegmentation, LearnedSegmentation]  # of the source, of the target
log = logging.getLogger(__name__)


def find_files(path: str, source: str, target: str, test: str, **_: object) -> None:
    """Refuses a folder that is not there or lacks files; what the hub has is not asked."""
    example = 'translation(path="multi30k") or translation(path="hub:bentrevett/multi30k")'
    require(path not in ("", parallel.HUB), f"task translation needs the folder of its files, as in {example}")
    if not path.startswith(parallel.HUB):
        parallel.find_files(path, (source, target), test)


@tasks.register(symbols="learned", written=("vocabulary",), find=lambda hyper: functools.partial(find_files, **hyper))
def translation(
    path: str = "",
    source: str = "de",
    target: str = "en",
    test: str = "test",
    units: Literal["words", "subwords"] = "subwords",
    vocabulary: Annotated[int, Range(minimum=1, maximum=1_000_000)] = 8000,
    joint: bool = False,
    lowercase: bool = False,
    longest: Length = 100,
    configuration: str = "",
    tokenize: Literal["auto", "13a", "intl", "zh", "char", "none", "ja-mecab", "ko-mecab"] = "auto",
) -> DatasetDict:
    """The line-aligned files train.de, train.en, dev.* (or val.*) and test.* in the folder `path`, plain or as .gz.

    `source` and `target` are the languages that the names end in. The test files may be called otherwise, as in
    `test="test_2016_flickr"`; others named test_<what> in both languages are further test splits. A relative path is
    looked for from the working directory, then in $ATTN_RESEARCH_DATA. `path="hub:bentrevett/multi30k"` takes a data
    set of the Hugging Face hub with a column for each language, or a column `translation` of texts by language (as
    wmt, opus_books and iwslt have); `configuration="de-en"` is its configuration, if it has several.

    `units` are the `vocabulary` most frequent words and punctuation marks of the training split, or as many subwords
    (byte-pair encoding, Sennrich et al. 2016), for each side, or with `joint` for both together. `lowercase` is for
    both sides and for the lines that outputs are scored against, as in papers on lower-cased text (the signatures of
    BLEU and chrF then have `case:lc`). Lines are read, and outputs scored, in composed form (NFC) and with single
    blanks. `tokenize` is BLEU's tokenizer: `auto` is `zh` for Chinese targets, `char` for Japanese, Thai, Lao, Tibetan,
    Burmese and Khmer ones, and sacrebleu's usual `13a` for all others; `ja-mecab` and `ko-mecab` need packages of their
    own. Training pairs with an empty line or more than
    `longest` symbols on a side are left out, which is told; no other pairs are.

    Raises:
      UserError: a folder, file, data set, configuration or column that is not there or cannot be read, different
        numbers of lines, an empty line in dev or test, or a vocabulary that is too small.
    """
    find_files(path, source, target, test)
    pairs = parallel.read_pairs(path, (source, target), test, configuration)
    pairs = {split: _without_empty(split, lines) for split, lines in pairs.items()}
    segmentations = _learn(pairs["train"], units, vocabulary, joint, lowercase)
    pairs["train"] = _without_long(pairs["train"], segmentations, longest)
    splits = from_columns({split: _columns(lines, segmentations) for split, lines in pairs.items()})
    splits.segmentations = segmentations
    return splits


def _learn(train: Pairs, units: str, vocabulary: int, joint: bool, lowercase: bool) -> Sides:
    if joint:
        return (LearnedSegmentation.learn([*train.sources, *train.targets], units, vocabulary, lowercase),) * 2
    source, target = (
        LearnedSegmentation.learn(lines, units, vocabulary, lowercase) for lines in (train.sources, train.targets)
    )
    return source, target


def _columns(pairs: Pairs, segmentations: Sides) -> dict[str, list]:
    return {
        "source": segmentations[0].split_all(pairs.sources),
        "target": segmentations[1].split_all(pairs.targets),
        "raw": [[line] for line in pairs.targets],
        "where": [pairs.where(i) for i in range(len(pairs.numbers))],
    }


def _without_empty(split: str, pairs: Pairs) -> Pairs:
    def is_full(i: int) -> bool:
        return bool(pairs.sources[i].strip() and pairs.targets[i].strip())

    empty = [i for i in range(len(pairs.numbers)) if not is_full(i)]
    if empty and split != "train":
        raise UserError(f"{pairs.where(empty[0])} is empty on one side, and only training pairs may be left out")
    return _filter_pairs(pairs, is_full, "have an empty line")


def _without_long(train: Pairs, segmentations: Sides, longest: int) -> Pairs:
    sources, targets = segmentations[0].split_all(train.sources), segmentations[1].split_all(train.targets)

    def fits(i: int) -> bool:
        return max(len(sources[i]), len(targets[i])) <= longest

    return _filter_pairs(train, fits, f"have more than {longest} symbols on a side")


def _filter_pairs(pairs: Pairs, fits: Callable[[int], bool], reason: str) -> Pairs:
    """The pairs that fit; how many do not, and the first of them, is told."""
    indices = [i for i in range(len(pairs.numbers)) if fits(i)]
    if len(indices) < len(pairs.numbers):
        numbers = sorted(set(pairs.numbers) - {pairs.numbers[i] for i in indices})
        listed = ", ".join(map(str, numbers[:MAX_LISTED])) + (" ..." if len(numbers) > MAX_LISTED else "")
        total = f"{len(numbers):,} of {len(pairs.numbers):,} pairs"
        log.warning("%s: %s %s and are left out (line %s)", pairs.title, total, reason, listed)
    return pairs.select(indices)
