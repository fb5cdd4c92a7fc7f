"""`attn-research report`: an experiment as one HTML page, or its figures as PDF or SVG."""

import argparse
from pathlib import Path
from typing import Any

from attn_research import storage
from attn_research.commands.arguments import add_command
from attn_research.commands.console import report_diverged
from attn_research.commands.experiment import add_experiment, check_changes, committed_file, read_experiment
from attn_research.commands.experiment_records import load_records
from attn_research.errors import UserError

EXAMPLES = """\
experiments/score_functions.py
experiments/score_functions.py --out report.html
experiments/score_functions.py --scores
experiments/score_functions.py --seeds 3 --items 100
experiments/score_functions.py --format pdf --out figures"""
NOTES = """
The page is one file that opens from disk and needs no network. It has the
table, the claims, charts, an explorer of attention maps, the configs and the
versions. Without the runs it is made from the committed records, and says what
it lacks.
"""


def add_parser(commands: Any) -> None:
    """Adds the command to the parser."""
    command = add_command(
        commands,
        "report",
        report,
        "write an experiment's table, charts and attention maps as one HTML page",
        EXAMPLES,
        NOTES,
    )
    add_experiment(command)
    command.add_argument(
        "--out", metavar="PATH", help="the file, or the folder of pdf and svg (default: in reports/ below the runs)"
    )
    command.add_argument(
        "--format",
        choices=("html", "pdf", "svg"),
        default="html",
        help="html: one page; pdf, svg: a file for every figure, with embedded fonts (default: html)",
    )
    command.add_argument(
        "--items",
        metavar="N",
        type=int,
        default=200,
        help="largest number of test items in the explorer (default: 200)",
    )
    command.add_argument(
        "--scores",
        action="store_true",
        help="compute queries, scores before normalizing and weights of every head from the checkpoints, for the first "
        "seed of every row; takes longer",
    )


def report(arguments: argparse.Namespace) -> int:
    """Writes the page or the figures. Returns 1 if a run diverged."""
    from attn_research.commands.report_content import draw_figures, report_page

    if arguments.scores and arguments.format != "html":
        raise UserError(f"--scores has no effect with --format {arguments.format}")
    if arguments.items < 1:
        raise UserError(f"--items is {arguments.items}, but must be at least 1")
    experiment, runs = read_experiment(arguments), Path(arguments.runs)
    loaded = load_records(experiment, committed_file(arguments, experiment), runs)
    check_changes(arguments, loaded.missing)
    reports = runs / "reports"
    if arguments.format == "html":
        page = Path(arguments.out or reports / f"{experiment.name}.html")
        storage.write(page, report_page(loaded, runs, arguments.items, arguments.scores).render())
        print(page)
    else:
        folder = Path(arguments.out or reports / f"{experiment.name}-figures")
        for path in draw_figures(loaded, runs, folder, f".{arguments.format}"):
            print(path)
    return report_diverged(record["status"] for record in loaded.by_config.values())
