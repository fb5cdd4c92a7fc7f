"""Errors: a class for what a user can cause, and one sentence for every other exception."""

import difflib
import sysconfig
import traceback
from collections.abc import Iterable
from pathlib import Path

PACKAGE = str(Path(__file__).parent)
LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


class UserError(ValueError):
    """A mistake of the user, told in one sentence: what came, where, what is known, the nearest match.

    The command line prints its text alone and exits with status 2. Any other exception is a bug, of this package or of
    the user's own file: `describe` says which.
    """


def nearest(name: str, known: Iterable[str]) -> str:
    """'known: a, b, c; did you mean b?': the second half of every message about an unknown name."""
    known = sorted(known)
    match = difflib.get_close_matches(name, known, n=1)
    return f"known: {', '.join(known) or 'none'}" + (f"; did you mean {match[0]}?" if match else "")


def user_line(error: BaseException) -> str | None:
    """`file.py:3`: the line of the user's own file that raised `error`, itself or by what it called of a library.

    None where the exception came up in this package.
    """
    if isinstance(error, SyntaxError) and error.filename and _is_user_file(error.filename):
        return f"{_short(error.filename)}:{error.lineno}"
    location = None
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename.startswith(PACKAGE):
            location = None
        elif _is_user_file(frame.filename):
            location = f"{_short(frame.filename)}:{frame.lineno}"
    return location


def _is_user_file(file: str) -> bool:
    return not file.startswith((PACKAGE, *LIBRARIES)) and Path(file).is_file()


def _short(file: str) -> str:
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file


def describe(error: BaseException, bug: str = "this is a bug in attn-research: ") -> str:
    """The exception in one line, which says whose fault it is."""
    lines = str(error).strip().split("\n")
    if isinstance(error, UserError):
        return lines[0]
    text = f"{type(error).__name__}: {lines[0]}".removesuffix(": ")
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in lines[0]:
        return f"not enough memory ({text})"
    if location := user_line(error):
        return f"{location}: {text}"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return bug + text
