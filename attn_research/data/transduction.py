"""Words to segments from tab-separated files: grapheme-to-phoneme, inflection."""

from collections.abc import Iterator
from pathlib import Path

from attn_research.data.files import find_file, find_folder, read_lines
from attn_research.data.task import SPLITS, DatasetDict, from_columns, tasks
from attn_research.errors import UserError
from attn_research.registry import require


@tasks.register
def transduction(path: str = "") -> DatasetDict:
    """The words in the folder `path`: train.tsv, dev.tsv and test.tsv, each plain or as .gz.

    A line is `word<TAB>segments separated by spaces`; the source is the characters of the word, the target the
    segments. In train every line is an item; in dev and test the lines of a word are one item with several
    `references`. A relative path is looked for from the working directory, then in $ATTN_RESEARCH_DATA.

    Raises:
      UserError: a folder or file that is not there, is empty or cannot be read, or a line of another form.
    """
    require(bool(path), 'task transduction needs the folder of its files, as in transduction(path="cmudict_g2p")')
    folder = find_folder(path)
    files = {split: find_file(folder, f"{split}.tsv") for split in SPLITS}
    return from_columns({split: _columns(file, split) for split, file in files.items()})


def _columns(file: Path, split: str) -> dict[str, list]:
    items: dict[tuple, list[tuple[str, list[str]]]] = {}
    for number, (word, segments) in enumerate(_lines(file), 1):
        key = (word, number) if split == "train" else (word,)
        items.setdefault(key, []).append((f"{file.name}:{number}", segments))
    if not items:
        raise UserError(f"{file} is empty")
    return {
        "source": [list(word) for word, *_ in items],
        "target": [lines[0][1] for lines in items.values()],
        "references": [[segments for _, segments in lines] for lines in items.values()],
        "where": [lines[0][0] for lines in items.values()],
    }


def _lines(file: Path) -> Iterator[tuple[str, list[str]]]:
    for number, line in enumerate(read_lines(file), 1):
        columns = line.split("\t")
        if len(columns) != 2:
            raise UserError(f"{file}:{number} has {len(columns)} columns, but must have two: word<TAB>segments")
        if not columns[0].strip() or not columns[1].strip():
            raise UserError(f"{file}:{number} has an empty column, but must be word<TAB>segments")
        yield columns[0], columns[1].split()
