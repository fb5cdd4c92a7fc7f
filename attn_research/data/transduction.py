"""Words to segments from tab-separated files: grapheme-to-phoneme, inflection."""

import codecs
import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

from attn_research.data.task import SPLITS, DatasetDict, from_columns, tasks
from attn_research.registry import nearest

ROOT = "ATTN_RESEARCH_DATA"  # environment variable: a folder that holds data folders


@tasks.register
def transduction(path: str = "") -> DatasetDict:
    """The words in the folder `path`: train.tsv, dev.tsv and test.tsv, each plain or as .gz.

    A line is `word<TAB>segments separated by spaces`; the source is the characters of the word, the target the
    segments. In train every line is an item; in dev and test the lines of a word are one item with several
    `references`. A relative path is looked for from the working directory, then in $ATTN_RESEARCH_DATA.

    Raises:
      ValueError: a folder or file that is not there, is empty or cannot be read, or a line of another form.
    """
    folder = _folder(path)
    files = {split: _file(folder, split) for split in SPLITS}
    return from_columns({split: _columns(file, split) for split, file in files.items()})


def _folder(path: str) -> Path:
    if not path:
        raise ValueError('task transduction needs the folder of its files, as in transduction(path="cmudict_g2p")')
    roots = [Path.cwd()] + ([Path(os.environ[ROOT])] if ROOT in os.environ else [])
    for root in roots:
        if (root / path).is_dir():
            return root / path
    near = [folder.name for root in roots if (root / path).parent.is_dir() for folder in _folders((root / path).parent)]
    looked = " and ".join(map(str, roots)) + ("" if ROOT in os.environ else f" (${ROOT} is not set)")
    raise ValueError(f"no folder {path!r} in {looked}; {nearest(Path(path).name, near)}")


def _folders(parent: Path) -> Iterator[Path]:
    return (entry for entry in parent.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _file(folder: Path, split: str) -> Path:
    for name in (f"{split}.tsv", f"{split}.tsv.gz"):
        if (folder / name).is_file():
            return folder / name
    raise ValueError(f"no {split}.tsv or {split}.tsv.gz in {folder}; {nearest(split, os.listdir(folder))}")


def _columns(file: Path, split: str) -> dict[str, list]:
    items: dict[tuple, list[tuple[str, list[str]]]] = {}
    for number, (word, segments) in enumerate(_lines(file), 1):
        key = (word, number) if split == "train" else (word,)
        items.setdefault(key, []).append((f"{file.name}:{number}", segments))
    if not items:
        raise ValueError(f"{file} is empty")
    return {
        "source": [list(word) for word, *_ in items],
        "target": [lines[0][1] for lines in items.values()],
        "references": [[segments for _, segments in lines] for lines in items.values()],
        "where": [lines[0][0] for lines in items.values()],
    }


def _lines(file: Path) -> Iterator[tuple[str, list[str]]]:
    for number, line in enumerate(_read(file).removeprefix(codecs.BOM_UTF8).splitlines(), 1):
        try:
            columns = line.decode("utf-8").split("\t")
        except UnicodeDecodeError as error:
            raise ValueError(f"{file}:{number} is not UTF-8: {error.reason} at byte {error.start}") from error
        if len(columns) != 2:
            raise ValueError(f"{file}:{number} has {len(columns)} columns, but must have two: word<TAB>segments")
        if not columns[0].strip() or not columns[1].strip():
            raise ValueError(f"{file}:{number} has an empty column, but must be word<TAB>segments")
        yield columns[0], columns[1].split()


def _read(file: Path) -> bytes:
    try:
        return gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"cannot read {file}: {error}") from error
