"""One process at a time for a run, however many sweeps are at work."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from attn_research.errors import UserError


class RunLockedError(UserError):
    """Another process makes this run."""


@contextlib.contextmanager
def lock_run(directory: Path) -> Iterator[None]:
    """Keeps the run in `directory` for this process; its end, of whatever kind, gives the run free.

    Raises:
      RunLockedError: another process has it.
    """
    path = directory.parent / ".locks" / directory.name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunLockedError(f"another process is making {directory}; wait for it, or stop it first") from None
        yield
