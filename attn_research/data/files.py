"""Data folders and their text files, plain or compressed (.gz)."""

import codecs
import gzip
import io
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from attn_research.errors import UserError
from attn_research.registry import nearest

ROOT = "ATTN_RESEARCH_DATA"  # environment variable: the parent of the data folders


def find_folder(path: str) -> Path:
    """Returns the folder `path`. A relative path is resolved in the working directory, then in $ATTN_RESEARCH_DATA.

    Raises:
      UserError: there is no such folder; the message names the nearest match.
    """
    return _find(path, "folder", Path.is_dir)


def find_path(path: str) -> Path:
    """Returns the file `path`, resolved as by `find_folder`.

    Raises:
      UserError: there is no such file; the message names the nearest match.
    """
    return _find(path, "file", Path.is_file)


def _find(path: str, kind: str, is_kind: Callable[[Path], bool]) -> Path:
    roots = [Path.cwd()] + ([Path(os.environ[ROOT])] if ROOT in os.environ else [])
    for root in roots:
        if is_kind(root / path):
            return root / path
    parents = [(root / path).parent for root in roots if (root / path).parent.is_dir()]
    siblings = [entry.name for parent in parents for entry in parent.iterdir() if is_kind(entry)]
    visible = [name for name in siblings if not name.startswith(".")]
    searched = " and ".join(map(str, roots)) + ("" if ROOT in os.environ else f" (${ROOT} is not set)")
    raise UserError(f"no {kind} {path!r} in {searched}; {nearest(Path(path).name, visible)}")


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
