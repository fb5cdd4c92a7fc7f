"""`attn-research evaluate`: the metrics of a finished run on any test set, with any search."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from attn_research.commands.arguments import add_command
from attn_research.commands.console import format_metrics
from attn_research.commands.decode_options import add_decoding, check_unknown_step, search_changes

EXAMPLES = """\
runs/0123456789
runs/0123456789 --split test_unseen --beam 5 --length-penalty average
runs/0123456789 --replace-unknown dictionary.tsv
runs/0123456789 --data other/test.de other/test.en
runs/0123456789 --data other/test.en other/test.fr other/test.align
runs/0123456789 runs/1123456789 runs/2123456789 --beam 5
runs/0123456789 --average last:5"""
NOTES = """
The numbers are those of the run's own record if no option changes the search.
The record is RUN/evaluations/ID/result.json, and the outputs are beside it. The
ID is a digest of what is evaluated and how: the same command reads the record.
An experiment declares EVALUATIONS for columns and rows of its table, and
`attn-research sweep` makes them.
"""


def add_parser(commands: Any) -> None:
    """Adds the command to the parser."""
    command = add_command(
        commands,
        "evaluate",
        evaluate,
        "measure a finished run on any test set, with any search",
        EXAMPLES,
        NOTES,
        resume="the same command starts the evaluation again",
        trains=True,
    )
    add_decoding(command)
    what = command.add_mutually_exclusive_group()
    what.add_argument("--split", metavar="NAME", default="test", help="a split of the run's task (default: test)")
    what.add_argument(
        "--data",
        metavar="FILE",
        nargs="+",
        help="files in the format of the run's task: for translation a source file, a target file and, if there is "
        "one, a file with gold word alignments; for transduction one file of lines word, tab, segments",
    )


def evaluate(arguments: argparse.Namespace) -> int:
    """Evaluates, and prints the metrics and the file of the record."""
    check_unknown_step(arguments)
    from attn_research import evaluator
    from attn_research.sweeps.evaluations import FILE, Evaluate

    how = Evaluate(
        split=arguments.split,
        data=tuple(arguments.data or ()),
        changes=search_changes(arguments),
        average=arguments.average,
        replace_unknown=arguments.replace_unknown is not None,
        dictionary=arguments.replace_unknown or None,
        unknown_step=arguments.unknown_step or "predicting",
        ensemble=len(arguments.runs) > 1,
    )
    with _progress(arguments) as report:
        directory, record = evaluator.evaluate(arguments.runs, how, arguments.trust, report)
    for name, split in record["splits"].items():
        print(f"{name}: {format_metrics(split['metrics'])}")
    print(f"evaluation: {directory / FILE}")
    return 0


@contextmanager
def _progress(arguments: argparse.Namespace) -> Iterator[Any]:
    """Yields a function to call with the numbers of evaluated and of all items: a bar on a terminal."""
    from attn_research.runs.signals import StopRequested

    def check_stop(done: int, total: int) -> None:
        if arguments.stop():
            raise StopRequested

    if not sys.stderr.isatty():
        yield check_stop
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("evaluate", total=None)

        def report(done: int, total: int) -> None:
            check_stop(done, total)
            progress.update(bar, completed=done, total=total)

        yield report
