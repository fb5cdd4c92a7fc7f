"""The argument parser, and the arguments that several commands share."""

import argparse
import sys
import textwrap
from collections.abc import Callable
from typing import Any, NoReturn

from attn_research.commands.console import print_error
from attn_research.registry import nearest

WIDTH = 79  # of help and listings
CHANGES = (
    "set a config field (seed=2, model.attention.score=general) or a preset (preset:fairseq); "
    "if a field is set twice, the last value wins"
)
STATUSES = """
exit status:
  0    {success}
  1    a run failed or diverged, or another process is training it
  2    the command line, a config or a file is wrong; no run was started
  130  stopped by Ctrl-C (143: by SIGTERM, 129: by SIGHUP)

A run diverges when its loss becomes NaN or infinite. It keeps its record and is
not trained again. Tables list it without numbers.
If standard output is closed or its disk is full, training continues silently.
"""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    details: Callable[[], str] | None = None  # text below the epilog, which only `--help` computes

    def error(self, message: str) -> NoReturn:
        print_error(f"{message}; see {self.prog} --help")
        sys.exit(2)

    def format_help(self) -> str:
        return super().format_help() + (self.details() if self.details else "")

    def _check_value(self, action: argparse.Action, value: str) -> None:
        if action.choices is not None and value not in action.choices:
            raise argparse.ArgumentError(action, f"unknown value {value!r}; {nearest(value, action.choices)}")


def add_command(
    commands: Any,
    name: str,
    function: Callable[[argparse.Namespace], int],
    summary: str,
    examples: str,
    notes: str = "",
    resume: str = "",
    trains: bool = False,
) -> Parser:
    """Adds a command to the parser.

    Args:
      commands: the subparsers of `attn-research`.
      function: runs the command with the parsed arguments and returns the exit status.
      examples: the arguments of one example a line.
      notes: text below the examples.
      resume: how a user continues after an interrupt, as the end of the sentence "stopped; ...".
      trains: whether the process of the command trains, and so needs the environment for fast training.
    """
    lines = "\n".join(f"  attn-research {name} {line}".rstrip() for line in examples.split("\n"))
    command = commands.add_parser(
        name,
        help=summary,
        description=textwrap.fill(f"{summary[0].upper()}{summary[1:]}.", WIDTH),
        epilog=f"examples:\n{lines}\n{notes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(function=function, resume=resume, trains=trains, only_prints=False)
    return command


def add_runs(command: Parser) -> None:
    """Adds `--runs DIR`."""
    command.add_argument("--runs", metavar="DIR", default="runs", help="directory of the runs (default: runs)")


def add_fresh(command: Parser, which: str) -> None:
    """Adds `--fresh`, which restarts `which` from step 0."""
    help_text = f"restart {which} from step 0; the old directory is renamed to ID.replaced-DATE"
    command.add_argument("--fresh", action="store_true", help=help_text)


def add_wandb(command: Parser) -> None:
    """Adds `--wandb`."""
    help_text = (
        "log metrics to Weights & Biases in addition to the local record (default: off); after a resumed offline run, "
        "its newest folder has all steps; training continues if wandb fails"
    )
    command.add_argument("--wandb", choices=("off", "offline", "online"), default="off", help=help_text)
