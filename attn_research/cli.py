"""The console script `attn-research`. It handles Ctrl-C from its first line, then imports and runs a command."""

import contextlib
import os
import signal
from collections.abc import Sequence
from typing import NoReturn


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line.

    Args:
      argv: the words after `attn-research`. None: those of this process; then `main` handles the signals of the
        process and exits instead of returning.

    Returns:
      The exit status. 0: success. 1: a run or a check failed. 2: the user made an error. 128 + n: stopped by signal n.
    """
    if argv is None:
        exit_on_interrupt()
    from attn_research.commands import process  # the slow part of the start, so the handler comes first

    return process.run_process() if argv is None else process.run_command(argv)


def exit_on_interrupt() -> None:
    """Makes SIGINT exit at once and without a traceback, until the command handles its signals itself."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _exit)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # blocked by `process` across a restart


def _exit(number: int, _frame: object) -> NoReturn:
    with contextlib.suppress(OSError):
        os.write(2, b"attn-research: stopped\n")
    os._exit(128 + number)
