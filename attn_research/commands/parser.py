"""The parser of the whole command line."""

import argparse
import importlib.metadata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attn_research.commands import (
    check,
    claims,
    completion,
    config,
    evaluate,
    figure,
    import_,
    papers,
    report,
    scores,
    sweep,
    table,
    train,
    translate,
    tune,
)
from attn_research.commands.arguments import Parser
from attn_research.runs.environment import git_state

COMMANDS = (
    train, sweep, tune, table, claims, papers, figure, report, translate, evaluate, import_, scores, check, config,
    completion,
)  # fmt: skip
DESCRIPTION = """\
Compare attention variants in recurrent encoder-decoders: train, sweep, and
print tables made from records."""
EPILOG = """\
examples:
  attn-research train configs/dates.py model.attention.score='concat(units=64)'
  attn-research sweep experiments/score_functions.py
  attn-research table experiments/score_functions.py
  attn-research check my_scores.py:cosine
  attn-research COMMAND --help

A variant is written name(option=value, ...), as in concat(units=64). Your own
score is FILE.py:name. `attn-research scores` lists the variants and presets,
`attn-research config` the config fields.
"""


class PrintVersion(argparse.Action):
    """Prints the version and exits. Git is asked only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        print(format_version())
        parser.exit()


def format_version() -> str:
    """Returns `attn-research 0.1.0`; in a checkout also the commit, and whether files that affect runs differ."""
    state = git_state(Path(__file__).resolve().parents[2])
    commit = f" (commit {state['commit'][:10]}{', modified' if state['dirty'] else ''})" if state["commit"] else ""
    return f"attn-research {importlib.metadata.version('attn-research')}{commit}"


def make_parser() -> Parser:
    """Returns the parser with all commands."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = Parser(prog="attn-research", description=DESCRIPTION, epilog=EPILOG, formatter_class=raw)
    parser.add_argument("--version", action=PrintVersion, nargs=0, help="print the version and the commit, and exit")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    for command in COMMANDS:
        command.add_parser(commands)
    return parser


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parses a command line. `key=value` may stand before and after options."""
    parser = make_parser()
    arguments, rest = parser.parse_known_args(argv)
    unknown = [argument for argument in rest if argument.startswith("-") or "changes" not in arguments]
    if unknown:
        parser.error(f"unknown argument {unknown[0]!r}")
    if rest:
        arguments.changes += rest
    return arguments
