"""Data folders and their text files, plain or as .gz."""

import codecs
import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

from attn_research.errors import UserError
from attn_research.registry import nearest

ROOT = "ATTN_RESEARCH_DATA"  # environment variable: a folder that holds data folders


def find_folder(path: str) -> Path:
    """The folder `path`; a relative one is looked for from the working directory, then in $ATTN_RESEARCH_DATA.

    Raises:
      UserError: there is none; the nearest name is told.
    """
    roots = [Path.cwd()] + ([Path(os.environ[ROOT])] if ROOT in os.environ else [])
    for root in roots:
        if (root / path).is_dir():
            return root / path
    near = [folder.name for root in roots if (root / path).parent.is_dir() for folder in _folders((root / path).parent)]
    looked = " and ".join(map(str, roots)) + ("" if ROOT in os.environ else f" (${ROOT} is not set)")
    raise UserError(f"no folder {path!r} in {looked}; {nearest(Path(path).name, near)}")


def _folders(parent: Path) -> Iterator[Path]:
    return (entry for entry in parent.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def find_file(folder: Path, name: str) -> Path:
    """The file `name` or `name`.gz in `folder`.

    Raises:
      UserError: there is neither; the nearest name is told.
    """
    for found in (folder / name, folder / f"{name}.gz"):
        if found.is_file():
            return found
    raise UserError(f"no {name} or {name}.gz in {folder}; {nearest(name, os.listdir(folder))}")


def read_lines(file: Path) -> Iterator[str]:
    r"""The lines of a UTF-8 file, which may end in `\n` or `\r\n`, without their ends.

    Raises:
      UserError: the file cannot be read, or a line is not UTF-8.
    """
    for number, line in enumerate(_read(file).removeprefix(codecs.BOM_UTF8).splitlines(), 1):
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UserError(f"{file}:{number} is not UTF-8: {error.reason} at byte {error.start}") from error


def _read(file: Path) -> bytes:
    try:
        return gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"cannot read {file}: {error}") from error
