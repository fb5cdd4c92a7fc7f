"""The options that say how a finished run decodes, for every command that decodes."""

import argparse
from collections.abc import Mapping
from typing import Any

from attn_research.commands.arguments import Parser
from attn_research.errors import UserError

PENALTIES = ("length_penalty", "coverage_penalty")  # fields of `decode` that change the score of an output
SEARCH = ("beam", *PENALTIES, "min_length", "max_length", "no_repeat_ngram_size", "sampling")  # fields that options set
DEFAULT = "(default: as in the run's config)"


def add_decoding(command: Parser) -> None:
    """Adds `RUN ...`, and the options of checkpoints, search and unknown symbols."""
    command.add_argument(
        "runs",
        metavar="RUN",
        nargs="+",
        help="the directory of a finished run; several with the same vocabularies form an ensemble, which averages "
        "their probabilities and searches as the config of the first one says",
    )
    command.add_argument(
        "--trust", action="store_true", help="allow the code of users that is stored in the run's directory to run"
    )
    command.add_argument(
        "--average",
        metavar="KIND:N",
        help="average the parameters of the N newest checkpoints, as in last:5 or best:5, of a run with train.keep=5 "
        "or more (default: the best checkpoint alone)",
    )
    command.add_argument("--beam", metavar="K", type=int, help=f"beam size; 1: greedy search {DEFAULT}")
    command.add_argument(
        "--length-penalty",
        metavar="SPEC",
        help=f"ranks outputs of different lengths: none, average or wu {DEFAULT}",
    )
    command.add_argument(
        "--coverage-penalty",
        metavar="BETA",
        type=float,
        help=f"ranks outputs that attend to the whole source higher; 0: off {DEFAULT}",
    )
    _add_limits(command)
    command.add_argument(
        "--sampling", metavar="SPEC", help=f"draws every symbol at random, as in sample(temperature=0.8) {DEFAULT}"
    )
    _add_replacement(command)


def _add_limits(command: Parser) -> None:
    command.add_argument(
        "--min-length", metavar="N", type=int, help=f"symbols of an output before its end, at least {DEFAULT}"
    )
    command.add_argument(
        "--max-length", metavar="N", type=int, help=f"symbols of an output with its end symbol, at most {DEFAULT}"
    )
    command.add_argument(
        "--no-repeat-ngram-size",
        metavar="N",
        type=int,
        help=f"an output has no N symbols in a row twice; 0: off {DEFAULT}",
    )


def _add_replacement(command: Parser) -> None:
    command.add_argument(
        "--replace-unknown",
        metavar="DICTIONARY.tsv",
        nargs="?",
        const="",
        help="write the source word with the largest attention weight for every unknown symbol, or its translation in "
        "the dictionary: word, tab, translation",
    )
    command.add_argument(
        "--unknown-step",
        choices=("predicting", "reading"),
        help="with --replace-unknown: take the weights of the step that predicts the symbol, or of the next step, "
        "which reads it (default: predicting)",
    )


def search_changes(arguments: argparse.Namespace) -> dict[str, Any]:
    """Returns the changes that the command line makes to the run's config."""
    options = {f"decode.{name}": getattr(arguments, name) for name in SEARCH}
    return {name: value for name, value in options.items() if value is not None}


def check_unknown_step(arguments: argparse.Namespace) -> None:
    """Raises a UserError if --unknown-step has no effect."""
    if arguments.replace_unknown is None and arguments.unknown_step is not None:
        raise UserError("--unknown-step chooses the weights of --replace-unknown, and has no effect without it")


def read_dictionary(arguments: argparse.Namespace) -> Mapping[str, str] | None:
    """Returns the dictionary of --replace-unknown, which may be empty; None without the option.

    Raises:
      UserError: the dictionary is invalid, or --unknown-step has no effect.
    """
    check_unknown_step(arguments)
    path = arguments.replace_unknown
    if path is None:
        return None
    from pathlib import Path

    from attn_research.data import files
    from attn_research.decoding import unknown

    return unknown.read_dictionary(files.read_lines(Path(path)), path) if path else {}
