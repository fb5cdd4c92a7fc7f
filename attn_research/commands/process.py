"""The process of one command: its signals, its errors as one line, its exit status."""

import argparse
import contextlib
import functools
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from attn_research.commands import streams
from attn_research.commands.console import print_error
from attn_research.commands.parser import parse
from attn_research.errors import UserError, describe, user_line
from attn_research.runs.environment import restart_process
from attn_research.runs.signals import StopRequest, StopRequested, never_stop
from attn_research.sweeps.execute import warnings_to, write_traceback

SHOW_CURSOR = "\x1b[?25h"  # a progress bar hides it


def run_process() -> NoReturn:
    """Runs the command line of this process, and exits with its status."""
    streams.prepare()
    with streams.guard_streams() as output:
        arguments = parse(None)
        if arguments.trains:
            _restart()
        with StopRequest(functools.partial(exit_immediately, resume=arguments.resume)).listen() as stop:
            exit_process(_run(arguments, output, stop))


def run_command(argv: Sequence[str]) -> int:
    """Runs a command line in the process of the caller, whose signals it leaves alone; returns the exit status."""
    with streams.guard_streams() as output:
        return _run(parse(argv), output, never_stop)


def _restart() -> None:
    """Starts this program again with the environment for fast training, if it does not have it.

    SIGINT waits meanwhile: the new process inherits the mask, and `cli.main` unblocks the signal there.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    restart_process()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _run(arguments: argparse.Namespace, output: streams.Stream, stop: Callable[[], bool]) -> int:
    """Runs a command, which polls `stop`; returns the exit status."""
    arguments.stop = stop
    output.stops = arguments.only_prints and not arguments.attention
    status = _run_function(arguments)
    with contextlib.suppress(streams.OutputClosedError):
        sys.stdout.flush()
    if output.error is None or isinstance(output.error, BrokenPipeError):
        return status
    print_error(f"standard output: {output.error.strerror}")
    return status if arguments.resume else status or 1


def _run_function(arguments: argparse.Namespace) -> int:
    try:
        with warnings_to(print_error):
            return arguments.function(arguments)
    except UserError as error:
        print_error(str(error))
        return 2
    except streams.OutputClosedError:
        return 0
    except StopRequested:
        return report_stop(arguments.stop.number, arguments.resume)
    except KeyboardInterrupt:
        return report_stop(signal.SIGINT, arguments.resume)
    except Exception as error:
        return _report_exception(error)


def _report_exception(error: Exception) -> int:
    """Prints an exception in one line; returns 2 if the user can fix it, and 1 if it is a bug of this package."""
    if isinstance(error, OSError) and error.filename:
        print_error(describe(error))
        return 2
    print_error(f"{describe(error)} (the traceback is in {write_traceback()})")
    return 2 if user_line(error) else 1


def report_stop(number: int, resume: str) -> int:
    """Prints that the signal `number` stopped the command, and how to resume; returns the exit status."""
    print_error(_stop_message(resume))
    return 128 + number


def _stop_message(resume: str) -> str:
    return f"stopped; {resume}".removesuffix("; ")


def exit_immediately(number: int, resume: str) -> NoReturn:
    """Exits from any thread, whatever the others are doing. Files survive this: they are replaced by renaming."""
    if sys.stdout.isatty():
        os.write(sys.stdout.fileno(), f"{SHOW_CURSOR}\n".encode())
    with contextlib.suppress(OSError):
        os.write(2, f"attn-research: {_stop_message(resume)}\n".encode())  # another thread may hold sys.stderr
    os._exit(128 + number)


def exit_process(status: int) -> NoReturn:
    """Exits without finalizing the interpreter, in which libraries with threads may crash."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # all work is done
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(streams.OutputClosedError):
            stream.flush()
    os._exit(status)
