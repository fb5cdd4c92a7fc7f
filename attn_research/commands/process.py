"""How the process of a command ends."""

import contextlib
import os
import signal
import sys
from typing import NoReturn

from attn_research.commands.streams import OutputClosed
from attn_research.commands.words import complain

SHOW_CURSOR = "\x1b[?25h"  # a progress bar hides it


def stopped(number: int, resume: str) -> int:
    """Says that a signal stopped this command, and what the next one does; returns the status for the shell."""
    complain(_sentence(resume))
    return 128 + number


def _sentence(resume: str) -> str:
    return f"stopped; {resume}".removesuffix("; ")


def end_at_once(number: int, resume: str) -> NoReturn:
    """Ends the process from whichever thread, in the middle of whatever another one does; files are safe from that."""
    if sys.stdout.isatty():
        os.write(sys.stdout.fileno(), f"{SHOW_CURSOR}\n".encode())
    with contextlib.suppress(OSError):
        os.write(2, f"attn-research: {_sentence(resume)}\n".encode())  # another thread may be at work on sys.stderr
    os._exit(128 + number)


def leave(status: int) -> NoReturn:
    """Ends the process without taking the interpreter down, which libraries that have threads do not always survive."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # everything is done
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OutputClosed):
            stream.flush()
    os._exit(status)
