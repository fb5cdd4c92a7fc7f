"""The lines that `translate` reads: of a file, plain or .gz, or of a pipe of any length, and reports on them."""

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice, zip_longest
from typing import NamedTuple, TypeVar

from attn_research.commands.console import print_error
from attn_research.errors import UserError

EMPTY = "is empty"
MAX_LISTED = 5  # unknown symbols that a message names
MAX_BYTES = 2**20  # of a line; a longer one has no output, so that memory stays bounded
Item = TypeVar("Item")


class Line(NamedTuple):
    """One line of the input; `flaw` says why it cannot be translated and is empty otherwise."""

    number: int
    text: str
    flaw: str = ""


@contextmanager
def open_input(path: str | None) -> Iterator[io.BufferedIOBase]:
    """Opens a file, plain or as .gz, or standard input; yields its raw lines.

    Raises:
      UserError: the archive is damaged.
    """
    from attn_research.data.files import open_stream

    with open_stream(path) if path else open(0, "rb", closefd=False) as stream:
        try:
            yield stream
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise UserError(f"cannot read {path}: {error}") from error


def read_lines(stream: io.BufferedIOBase) -> Iterator[Line]:
    """Yields the lines, decoded as in training."""
    from attn_research.data.files import decode_lines

    too_long: set[int] = set()
    for number, line in enumerate(decode_lines(_raw_lines(stream, too_long)), 1):
        if number in too_long:
            too_long.clear()
            yield Line(number, "", f"has more than {MAX_BYTES:,} bytes")
        elif isinstance(line, UnicodeDecodeError):
            yield Line(number, "", f"is not UTF-8: {line.reason} at byte {line.start}")
        else:
            yield Line(number, line, "" if line.strip() else EMPTY)


def _raw_lines(stream: io.BufferedIOBase, too_long: set[int]) -> Iterator[bytes]:
    """Yields the lines as bytes; adds the numbers of those that are cut off to `too_long`."""
    number = 0
    while line := stream.readline(MAX_BYTES):
        number += 1
        rest = line
        while len(rest) == MAX_BYTES and not rest.endswith(b"\n"):
            too_long.add(number)
            rest = stream.readline(MAX_BYTES)
        yield line


def pair_lines(
    sources: Iterator[Line], targets: Iterator[Line], source_name: str, target_name: str
) -> Iterator[tuple[Line, Line]]:
    """Yields the pairs of lines of the same number. An empty target is valid.

    Raises:
      UserError: one file has more lines than the other.
    """
    for source, target in zip_longest(sources, targets):
        if source is None or target is None:
            shorter, longer = (source_name, target_name) if source is None else (target_name, source_name)
            line = source or target
            raise UserError(f"{shorter} has {line.number - 1} lines, but {longer} has more; --force needs pairs")
        yield source, target


def batches(lines: Iterator[Item], size: int) -> Iterator[list[Item]]:
    """Yields the lines, or pairs of lines, in lists of at most `size`."""
    return iter(lambda: list(islice(lines, size)), [])


class LineReport:
    """Reports lines without an output, and symbols that are not in the run's vocabulary."""

    def __init__(self, path: str | None, unknown: Callable[[str], list[str]]):
        self.name, self._unknown_in = path or "standard input", unknown
        self.failed = 0  # lines without an output
        self._unknown = 0
        self._first_unknown: dict[str, int] = {}  # with the number of their lines

    def fail(self, line: Line, result: str = "output") -> None:
        """Prints why a line has no output, or no other result."""
        self.failed += 1
        print_error(f"{self.name}:{line.number} {line.flaw}, so its {result} is empty")

    def report_impossible(self, line: Line) -> None:
        """Prints that the model and the limits of the search leave no output for a line."""
        self.failed += 1
        print_error(f"{self.name}:{line.number} has no output that the model and the limits of the search allow")

    def count_unknown(self, line: Line) -> None:
        """Counts the unknown symbols of a line."""
        for text in self._unknown_in(line.text):
            self._unknown += 1
            if len(self._first_unknown) < MAX_LISTED:
                self._first_unknown.setdefault(text, line.number)

    def print_unknown(self) -> None:
        """Prints the number of unknown symbols and the first of them, if there are any."""
        if self._unknown:
            listed = ", ".join(f"{text!r} (line {number})" for text, number in self._first_unknown.items())
            total = "1 symbol is" if self._unknown == 1 else f"{self._unknown:,} symbols are"
            print_error(f"{self.name}: {total} not in the run's vocabulary and read as unknown; the first: {listed}")
