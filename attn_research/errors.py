"""The error class for everything that a user can cause, and how its messages name what is known."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake of the user, told in one sentence: what came, where, what is known, the nearest match.

    The command line prints its text alone and exits with status 2. Any other exception is a bug and shows a traceback.
    """


def nearest(name: str, known: Iterable[str]) -> str:
    """'known: a, b, c; did you mean b?': the second half of every message about an unknown name."""
    known = sorted(known)
    match = difflib.get_close_matches(name, known, n=1)
    return f"known: {', '.join(known) or 'none'}" + (f"; did you mean {match[0]}?" if match else "")
