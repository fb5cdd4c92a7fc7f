"""Errors: one class for mistakes of the user, and a one-line description of every other exception."""

import difflib
from collections.abc import Iterable

from attn_research.source_lines import user_line


class UserError(ValueError):
    """A mistake of the user. The message is one sentence: what came, where, what is known, the nearest match.

    The command line prints the message and exits with status 2. Any other exception is a bug, in this package or in
    the user's file; `describe` says in which.
    """


def nearest(name: str, known: Iterable[str]) -> str:
    """Returns 'known: a, b, c; did you mean b?', the second half of every message about an unknown name."""
    known = sorted(known)
    return f"known: {', '.join(known) or 'none'}{did_you_mean(name, known)}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns '; did you mean b?', or nothing if no name is similar, for names that are too many to list."""
    match = difflib.get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {match[0]}?" if match else ""


def describe(error: BaseException, bug: str = "this is a bug in attn-research: ") -> str:
    """Returns the exception as one line that says where the fault is.

    Args:
      bug: the prefix for an exception that is not the user's fault.
    """
    first_line = str(error).strip().split("\n")[0]
    if isinstance(error, UserError):
        return first_line
    text = f"{type(error).__name__}: {first_line}".removesuffix(": ")
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in first_line:
        return f"not enough memory ({text})"
    if line := user_line(error):
        return f"{line}: {text}"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return bug + text
