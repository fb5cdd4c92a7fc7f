"""How the process of a command ends."""

import contextlib
import os
import signal
import sys
from typing import NoReturn

from attn_research.commands.console import print_error
from attn_research.commands.streams import OutputClosedError

SHOW_CURSOR = "\x1b[?25h"  # a progress bar hides it


def report_stop(number: int, resume: str) -> int:
    """Says that a signal stopped this command, and what the next one does; returns the status for the shell."""
    print_error(_stop_message(resume))
    return 128 + number


def _stop_message(resume: str) -> str:
    return f"stopped; {resume}".removesuffix("; ")


def exit_immediately(number: int, resume: str) -> NoReturn:
    """Ends the process from whichever thread, in the middle of whatever another one does; files are safe from that."""
    if sys.stdout.isatty():
        os.write(sys.stdout.fileno(), f"{SHOW_CURSOR}\n".encode())
    with contextlib.suppress(OSError):
        os.write(2, f"attn-research: {_stop_message(resume)}\n".encode())  # another thread may be at work on sys.stderr
    os._exit(128 + number)


def exit_process(status: int) -> NoReturn:
    """Ends the process without taking the interpreter down, which libraries that have threads do not always survive."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # everything is done
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OutputClosedError):
            stream.flush()
    os._exit(status)
