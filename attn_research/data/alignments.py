"""Files with gold word alignments of line-aligned corpora, in Pharaoh or NAACL format.

- Pharaoh: a line for each pair, with links such as `3-4` (sure) and `3?4` (possible): source word 3 and target word 4,
  from 0.
- NAACL   (Mihalcea & Pedersen 2003): a line `sentence source target [S|P]` for each link, all from 1, sure without
  letter. Word 0 stands for no word, so such a link is left out.

Words are what spaces separate in the lines of the corpus.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from attn_research.data import parallel
from attn_research.data.files import find_file, read_lines
from attn_research.data.parallel import Languages, Pairs
from attn_research.errors import UserError

PHARAOH = re.compile(r"(\d+)([-?])(\d+)")
NAACL = re.compile(r"(\d+)\s+(\d+)\s+(\d+)(?:\s+([SP]))?")
EXAMPLES = "Pharaoh links, as in 3-4 or 3?4, or a NAACL link, as in 1 4 5 S"


class Links(NamedTuple):
    """The gold links of one pair: [source word, target word], from 0."""

    sure: list[list[int]]
    possible: list[list[int]]  # without the sure ones


class _Link(NamedTuple):
    line: int  # of its file, from 1
    text: str
    pair: int  # from 0
    words: tuple[int, int]  # in the order of the file, from 0
    sure: bool


def find_alignments(path: str, languages: Languages, test: str, suffix: str, held_out: int = 0) -> dict[str, Path]:
    """Returns the alignment file of every split in the folder `path` that has one, except train.

    Args:
      held_out: as in `parallel.read_pairs`; a held-out dev has no file.

    Raises:
      UserError: no split has one.
    """
    files = parallel.find_files(path, languages, test, held_out)
    found = {}
    for split, (source, _) in files.items():
        name = source.name.removesuffix(".gz").removesuffix(languages[0]) + suffix
        candidates = [source.parent / name, source.parent / f"{name}.gz"]
        if split != "train" and any(file.is_file() for file in candidates):
            found[split] = find_file(source.parent, name)
    if not found:
        find_file(files["test"][0].parent, f"{test}.{suffix}")
    return found


def read_alignments(file: Path, pairs: Pairs, target_first: bool = False) -> list[Links]:
    """Returns the gold links of all pairs of a split.

    Args:
      target_first: whether a link in the file is target word, source word.

    Raises:
      UserError: a line has another form, a link is outside of its pair, or the number of lines differs from that of the
        pairs; the message names file and line.
    """
    lines = [line.strip() for line in read_lines(file)]
    is_naacl = NAACL.fullmatch(next(filter(None, lines), "")) is not None
    if not is_naacl and len(lines) != len(pairs.numbers):
        raise UserError(f"{file} has {len(lines)} lines, but {pairs.title} have {len(pairs.numbers)}")
    links = [Links([], []) for _ in pairs.numbers]
    sizes = [(len(source.split()), len(target.split())) for source, target in zip(*pairs[3:], strict=True)]
    for link in (_naacl if is_naacl else _pharaoh)(file, lines):
        source, target = reversed(link.words) if target_first else link.words
        _check(file, link, (source, target), sizes, pairs)
        links[link.pair][not link.sure].append([source, target])
    return links


def _pharaoh(file: Path, lines: Sequence[str]) -> Iterator[_Link]:
    for number, line in enumerate(lines, 1):
        for text in line.split():
            match = PHARAOH.fullmatch(text)
            if not match:
                raise UserError(f"{file}:{number} has {text!r}, but must have {EXAMPLES}")
            yield _Link(number, text, number - 1, (int(match[1]), int(match[3])), match[2] == "-")


def _naacl(file: Path, lines: Sequence[str]) -> Iterator[_Link]:
    for number, text in enumerate(lines, 1):
        match = NAACL.fullmatch(text)
        if text and not match:
            raise UserError(f"{file}:{number} is {text!r}, but must be a NAACL link, as in 1 4 5 S")
        if match and int(match[2]) and int(match[3]):
            yield _Link(number, text, int(match[1]) - 1, (int(match[2]) - 1, int(match[3]) - 1), match[4] != "P")


def _check(file: Path, link: _Link, words: tuple[int, int], sizes: Sequence[tuple[int, int]], pairs: Pairs) -> None:
    """Raises a UserError if a link is outside of its pair."""
    place = f"{file}:{link.line} has the link {link.text!r}"
    if not 0 <= link.pair < len(sizes):
        raise UserError(f"{place}, but {pairs.title} have {len(sizes)} pairs")
    size = sizes[link.pair]
    if words[0] >= size[0] or words[1] >= size[1]:
        raise UserError(f"{place}, but {pairs.where(link.pair)} has {size[0]} source and {size[1]} target words")
