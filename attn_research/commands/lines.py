"""The lines that `attn-research translate` reads, and what it says of those that it cannot."""

import gzip
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, NamedTuple

from attn_research.commands.console import print_error
from attn_research.data.files import decode_lines, open_stream
from attn_research.errors import UserError

MAX_LISTED = 5  # unknown symbols that are named


class Line(NamedTuple):
    """One line of the input; `flaw` says why it cannot be translated and is empty otherwise."""

    number: int
    text: str
    flaw: str = ""


@contextmanager
def open_input(path: str | None) -> Iterator[Iterable[bytes]]:
    """The raw lines of a file, plain or as .gz, or of standard input.

    Raises:
      UserError: the archive is damaged.
    """
    with open_stream(path) if path else open(0, "rb", closefd=False) as stream:
        try:
            yield stream
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise UserError(f"cannot read {path}: {error}") from error


def read(stream: Iterable[bytes]) -> Iterator[Line]:
    """The lines, decoded as training decodes them."""
    for number, line in enumerate(decode_lines(stream), 1):
        if isinstance(line, UnicodeDecodeError):
            yield Line(number, "", f"is not UTF-8: {line.reason} at byte {line.start}")
        else:
            yield Line(number, line, "" if line.strip() else "is empty")


def batches(lines: Iterator[Line], size: int) -> Iterator[list[Line]]:
    """The lines, at most `size` at a time."""
    return iter(lambda: list(islice(lines, size)), [])


class LineReport:
    """Tells of lines without an output, and at the end of symbols that the run does not know."""

    def __init__(self, path: str | None, translator: Any):
        self.name, self._translator = path or "standard input", translator
        self.failed = 0  # lines without an output
        self._unknown, self._first_unknown = 0, {}

    def fail(self, line: Line) -> None:
        """Tells that a line has no output."""
        self.failed += 1
        print_error(f"{self.name}:{line.number} {line.flaw}, so its output is empty")

    def count_unknown(self, line: Line) -> None:
        """Counts what the run does not know in a line."""
        for text in self._translator.unknown(line.text):
            self._unknown += 1
            if len(self._first_unknown) < MAX_LISTED:
                self._first_unknown.setdefault(text, line.number)

    def finish(self) -> None:
        """Tells how many symbols are unknown, and the first of them."""
        if self._unknown:
            listed = ", ".join(f"{text!r} (line {number})" for text, number in self._first_unknown.items())
            total = "1 symbol is" if self._unknown == 1 else f"{self._unknown:,} symbols are"
            print_error(f"{self.name}: {total} not in the run's vocabulary and read as unknown; the first: {listed}")
