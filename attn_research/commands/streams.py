"""Standard output and standard error that a command can always write to, even if their other ends are closed."""

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any


class OutputClosedError(Exception):
    """Raised when the reader of standard output is gone."""


class Stream:
    """A text stream that drops output that it cannot write, and keeps the first exception in `error`.

    If `stops` is set, a closed pipe raises OutputClosedError. It ends a command whose only result is its output.
    """

    def __init__(self, stream: Any):
        self._stream, self.stops = stream, False
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        with self._dropping():
            self._stream.write(text)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        with self._dropping():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextlib.contextmanager
    def _dropping(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.error = self.error or error
            with contextlib.suppress(OSError, ValueError):  # the buffer is flushed again, now and at exit
                _connect_to_devnull(self._stream.fileno())
            if self.stops and isinstance(error, BrokenPipeError):
                raise OutputClosedError from error


@contextlib.contextmanager
def guard_streams() -> Iterator[Stream]:
    """Replaces standard output and standard error by a `Stream` each; yields standard output."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = Stream(sys.stdout), Stream(sys.stderr)
    try:
        yield sys.stdout
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OutputClosedError):
                stream.flush()
        sys.stdout, sys.stderr = before


def prepare() -> None:
    """Makes the streams of this process UTF-8 in every locale, and opens /dev/null for closed descriptors.

    Without the latter, the next file that is opened would get the descriptor of standard output.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            _connect_to_devnull(number)
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115 (until the exit)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]


def _connect_to_devnull(descriptor: int) -> None:
    devnull = os.open(os.devnull, os.O_RDWR)
    if devnull != descriptor:
        os.dup2(devnull, descriptor)
        os.close(devnull)
