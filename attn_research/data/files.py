"""Data folders and their text files, plain or as .gz."""

import codecs
import gzip
import io
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

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
    siblings = [
        folder.name for root in roots if (root / path).parent.is_dir() for folder in _folders((root / path).parent)
    ]
    searched = " and ".join(map(str, roots)) + ("" if ROOT in os.environ else f" (${ROOT} is not set)")
    raise UserError(f"no folder {path!r} in {searched}; {nearest(Path(path).name, siblings)}")


def _folders(parent: Path) -> Iterator[Path]:
    return (entry for entry in parent.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def find_file(folder: Path, name: str) -> Path:
    """The file `name` or `name`.gz in `folder`.

    Raises:
      UserError: there is neither; the nearest name is told.
    """
    for file in (folder / name, folder / f"{name}.gz"):
        if file.is_file():
            return file
    raise UserError(f"no {name} or {name}.gz in {folder}; {nearest(name, os.listdir(folder))}")


def decode_lines(stream: Iterable[bytes]) -> Iterator[str | UnicodeDecodeError]:
    r"""The lines of a UTF-8 stream without their ends, or the error in place of a line that is not UTF-8.

    A line ends in `\n` or `\r\n`, and in nothing else. A byte order mark at the start belongs to no line.
    """
    for number, line in enumerate(stream):
        line = line if number else line.removeprefix(codecs.BOM_UTF8)
        try:
            yield line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8")
        except UnicodeDecodeError as error:
            yield error


def read_lines(file: Path) -> Iterator[str]:
    """The lines of a UTF-8 file without their ends; see `decode_lines`.

    Raises:
      UserError: the file cannot be read, or a line is not UTF-8.
    """
    for number, line in enumerate(decode_lines(io.BytesIO(_read(file))), 1):
        if isinstance(line, UnicodeDecodeError):
            raise UserError(f"{file}:{number} is not UTF-8: {line.reason} at byte {line.start}") from line
        yield line


def open_stream(file: str | Path) -> IO[bytes]:
    """The bytes of a file, plain or as .gz."""
    return gzip.open(file) if Path(file).suffix == ".gz" else open(file, "rb")


def _read(file: Path) -> bytes:
    try:
        with open_stream(file) as stream:
            return stream.read()
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"cannot read {file}: {error}") from error
