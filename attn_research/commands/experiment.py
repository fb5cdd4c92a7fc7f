"""The experiment that a command line names: its arguments, and the experiment with the changes of the user."""

import argparse
from collections.abc import Iterable

from attn_research.commands.arguments import CHANGES, Parser, add_runs
from attn_research.config import Config, parse_changes
from attn_research.sweeps.expand import Experiment, load_experiment


def add_experiment(command: Parser) -> None:
    """Adds `EXPERIMENT`, `key=value`, `--add` and `--runs`."""
    command.add_argument("experiment", metavar="EXPERIMENT", help="a file in experiments/")
    command.add_argument("changes", metavar="key=value", nargs="*", help=f"in every run, {CHANGES}")
    command.add_argument(
        "--add",
        metavar="key=value",
        action="append",
        default=[],
        help="add rows: every run once more with this field set, as in --add model.attention.score=my_scores.py:cosine",
    )
    add_runs(command)


def read_experiment(arguments: argparse.Namespace) -> Experiment:
    """Returns the experiment of a command line, with `key=value` and `--add` applied."""
    additions = [parse_changes([change]) for change in arguments.add]
    return load_experiment(arguments.experiment, parse_changes(arguments.changes), additions)


def check_changes(arguments: argparse.Namespace, configs: Iterable[Config]) -> None:
    """Checks the configs, which have no record, if the command line changes the experiment.

    Raises:
      UserError: `key=value` or `--add` makes an invalid config.
    """
    if arguments.changes or arguments.add:
        from attn_research.training.check import check_all

        check_all(configs, files=False)
