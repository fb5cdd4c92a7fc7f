"""Data folders and their text files, plain or compressed (.gz)."""

import codecs
import gzip
import io
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from attn_research.errors import UserError
from attn_research.registry import nearest

ROOT = "ATTN_RESEARCH_DATA"  # environment variable: the parent of the data folders


def find_folder(path: str) -> Path:
    """Returns the folder `path`. A relative path is resolved in the working directory, then in $ATTN_RESEARCH_DATA.

    Raises:
      UserError: there is no such folder; the message names the nearest match.
    """
    roots = _roots()
    for root in roots:
        if (root / path).is_dir():
            return root / path
    siblings = [
        folder.name for root in roots if (root / path).parent.is_dir() for folder in _folders((root / path).parent)
    ]
    raise UserError(f"no folder {path!r} in {_searched(roots)}; {nearest(Path(path).name, siblings)}")


def find_path(path: str) -> Path:
    """Returns the file `path`, resolved as by `find_folder`.

    Raises:
      UserError: there is no such file; the message names the nearest match.
    """
    roots = _roots()
    for root in roots:
        if (root / path).is_file():
            return root / path
    folders = [(root / path).parent for root in roots if (root / path).parent.is_dir()]
    siblings = [file.name for folder in folders for file in folder.iterdir() if file.is_file()]
    raise UserError(f"no file {path!r} in {_searched(roots)}; {nearest(Path(path).name, siblings)}")


def _roots() -> list[Path]:
    return [Path.cwd()] + ([Path(os.environ[ROOT])] if ROOT in os.environ else [])


def _searched(roots: list[Path]) -> str:
    return " and ".join(map(str, roots)) + ("" if ROOT in os.environ else f" (${ROOT} is not set)")


def _folders(parent: Path) -> Iterator[Path]:
    return (entry for entry in parent.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def find_file(folder: Path, name: str) -> Path:
    """Returns the file `name` or `name`.gz in `folder`.

    Raises:
      UserError: neither exists; the message names the nearest match.
    """
    for file in (folder / name, folder / f"{name}.gz"):
        if file.is_file():
            return file
    raise UserError(f"no {name} or {name}.gz in {folder}; {nearest(name, os.listdir(folder))}")


def decode_lines(stream: Iterable[bytes]) -> Iterator[str | UnicodeDecodeError]:
    r"""Yields the lines of a UTF-8 stream without line ends. A line that is not UTF-8 yields its error.

    Only `\n` and `\r\n` end a line. A byte order mark at the start is dropped.
    """
    for number, line in enumerate(stream):
        line = line if number else line.removeprefix(codecs.BOM_UTF8)
        try:
            yield line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8")
        except UnicodeDecodeError as error:
            yield error


def read_lines(file: Path) -> Iterator[str]:
    """Yields the lines of a UTF-8 file without line ends, as `decode_lines`.

    Raises:
      UserError: the file cannot be read, or a line is not UTF-8.
    """
    for number, line in enumerate(decode_lines(io.BytesIO(_read(file))), 1):
        if isinstance(line, UnicodeDecodeError):
            raise UserError(f"{file}:{number} is not UTF-8: {line.reason} at byte {line.start}") from line
        yield line


def open_stream(file: str | Path) -> io.BufferedIOBase:
    """Opens a file, plain or .gz, for reading bytes."""
    return gzip.open(file) if Path(file).suffix == ".gz" else open(file, "rb")


def _read(file: Path) -> bytes:
    try:
        with open_stream(file) as stream:
            return stream.read()
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"cannot read {file}: {error}") from error
