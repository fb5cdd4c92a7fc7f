"""Tasks from tab-separated files of words: `transduction` (grapheme-to-phoneme conversion) and `inflection`."""

import functools
import logging
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from attn_research.data.files import find_file, find_folder, read_lines
from attn_research.data.segmentation import SEGMENTATIONS, Segmentation
from attn_research.data.task import SPLITS, DatasetDict, from_columns, tasks
from attn_research.errors import UserError
from attn_research.normal_form import normal
from attn_research.registry import require

SYMBOLS = "letters"  # how words become source symbols
ALTERNATE = re.compile(r"(.*\S)\([0-9]{1,2}\)")  # a further pronunciation in CMUdict: abel(1)
log = logging.getLogger(__name__)


class Line(NamedTuple):
    """One line of a file."""

    where: str  # `train.tsv:17`
    word: str
    segments: list[str]


def find_files(path: str, prefix: str = "", train: str = "train") -> dict[str, Path]:
    """Returns the file of each split in the folder `path`: PREFIX + split + .tsv, with `train` for the name of train.

    Raises:
      UserError: the folder or a file is missing.
    """
    require(bool(path), 'the task needs the folder of its files, as in transduction(path="cmudict_g2p")')
    folder, names = find_folder(path), dict(zip(SPLITS, (train, *SPLITS[1:]), strict=True))
    return {split: find_file(folder, f"{prefix}{name}.tsv") for split, name in names.items()}


def read_test(files: Sequence[Path], segmentations: Sequence[Segmentation], **_: object) -> dict[str, list]:
    """Reads a test set: one file, as test.tsv.

    Raises:
      UserError: there are several files, or the file cannot be read or has another form.
    """
    if len(files) != 1:
        raise UserError(
            f"a test set of task transduction is one file of lines word<TAB>segments, not {len(files)} files"
        )
    lines = _lines(files[0])
    return _columns(_without_numbers(lines, {line.word for line in lines}), "test")


@tasks.register(
    symbols=SYMBOLS,
    outputs="words",
    check_files=lambda hyper: functools.partial(find_files, **hyper),
    read_test=lambda hyper: functools.partial(read_test, **hyper),
)
def transduction(path: str = "", prefix: str = "", train: str = "train") -> DatasetDict:
    """The words in the folder `path`: train.tsv, dev.tsv and test.tsv, each plain or .gz.

    With `prefix="fre_"` the files are fre_train.tsv, fre_dev.tsv and fre_test.tsv. `train` is another name for train.

    A line is `word<TAB>segments separated by spaces`. The source is the characters of the word, and the target is the
    segments. In train every line is an item. In dev and test the lines of a word are one item with several
    `references`. Both columns are read in composed form (NFC), with single spaces and none at the ends. A name such as
    <V;PST> is as many symbols as it has characters. A relative path is resolved in the working directory, then in
    $ATTN_RESEARCH_DATA.

    `abel(1)`, CMUdict's spelling of a further pronunciation, is read as a further line of `abel` if one of the files
    has `abel`. Any other word that ends in a number in parentheses is read unchanged. A warning reports both.

    Raises:
      UserError: the folder or a file is missing, a file is empty or cannot be read, or a line has another form.
    """
    files = {split: _lines(file) for split, file in find_files(path, prefix, train).items()}
    words = {line.word for lines in files.values() for line in lines}
    return from_columns({split: _columns(_without_numbers(lines, words), split) for split, lines in files.items()})


@tasks.register(symbols="inflection", check_files=lambda hyper: functools.partial(find_files, **hyper))
def inflection(path: str = "", prefix: str = "", train: str = "train") -> DatasetDict:
    """The inflected words in the folder `path`: train.tsv, dev.tsv and test.tsv, each plain or .gz.

    A line is `lemma<TAB>form<TAB>tags`, with `;` between tags, as in CoNLL-SIGMORPHON 2017. The source is the
    characters of the lemma and each tag as a symbol: `s i n g <V> <PST>`. The target is the characters of the form. A
    line to translate is `sing V;PST`. Several forms of a lemma with the same tags, the normal form of a line, and the
    options are as in `transduction`.

    Raises:
      UserError: as `transduction`.
    """
    files = {split: _inflection_lines(file) for split, file in find_files(path, prefix, train).items()}
    return from_columns({split: _columns(lines, split, "inflection") for split, lines in files.items()})


def _columns(lines: list[Line], split: str, symbols: str = SYMBOLS) -> dict[str, list]:
    items: dict[tuple, list[Line]] = {}
    for number, line in enumerate(lines):
        items.setdefault((line.word, number) if split == "train" else (line.word,), []).append(line)
    return {
        "source": [SEGMENTATIONS[symbols].split(word) for word, *_ in items],
        "target": [same[0].segments for same in items.values()],
        "references": [[line.segments for line in same] for same in items.values()],
        "where": [same[0].where for same in items.values()],
    }


def _without_numbers(lines: list[Line], words: Collection[str]) -> list[Line]:
    """Returns the lines with `abel` for `abel(1)` if `abel` is one of the words. Logs a warning for each kind."""
    numbered = {i: match[1] for i, line in enumerate(lines) if (match := ALTERNATE.fullmatch(line.word))}
    alternates = {i: word for i, word in numbered.items() if word in words}
    others = [lines[i] for i in numbered if i not in alternates]
    if alternates:
        first = next(iter(alternates))
        message = f"{lines[first].where}: {lines[first].word} is read as a further line of {alternates[first]}"
        log.warning("%s (%d words in total)", message, len(alternates))
    if others:
        message = f"{others[0].where}: {others[0].word} is read unchanged, since no file has it without the number"
        log.warning("%s (%d words in total)", message, len(others))
    return [line._replace(word=alternates.get(i, line.word)) for i, line in enumerate(lines)]


def _lines(file: Path) -> list[Line]:
    table = _read_table(file, ("word", "segments"))
    return [Line(where, word, segments.split()) for where, (word, segments) in table]


def _inflection_lines(file: Path) -> list[Line]:
    table = _read_table(file, ("lemma", "form", "tags"))
    return [Line(where, f"{lemma} {tags.replace(' ', '')}", list(form)) for where, (lemma, form, tags) in table]


def _read_table(file: Path, names: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Returns place and columns of every line, in normal form.

    Args:
      names: of the columns.
    """
    form, table = "<TAB>".join(names), []
    for number, line in enumerate(read_lines(file), 1):
        columns = [normal(column) for column in line.split("\t")]
        if len(columns) != len(names):
            raise UserError(f"{file}:{number} has {len(columns)} columns, but must have {len(names)}: {form}")
        if not all(columns):
            raise UserError(f"{file}:{number} has an empty column, but must be {form}")
        table.append((f"{file.name}:{number}", columns))
    if not table:
        raise UserError(f"{file} is empty")
    return table
