"""`attn-research claims`: the claims of experiments, with verdicts that are computed from records."""

import argparse
from pathlib import Path
from typing import Any

from attn_research.commands.arguments import add_command
from attn_research.commands.console import print_markdown
from attn_research.commands.experiment import results_file
from attn_research.commands.experiment_records import ExperimentRecords, load_records, read_claims
from attn_research.commands.pages import EXPERIMENTS, add_page, experiments_with, link, run_page
from attn_research.errors import UserError
from attn_research.sweeps.expand import Experiment, load_experiment

EXAMPLES = """\

experiments/score_functions.py
--check"""
PAGE = Path("docs/claims.md")


def add_parser(commands: Any) -> None:
    """Adds the command to the parser."""
    command = add_command(
        commands,
        "claims",
        claims,
        "print whether the claims of experiments hold, by the records of their runs",
        EXAMPLES,
    )
    add_page(command, PAGE, f"files with CLAIMS (default: all in {EXPERIMENTS}/ that have committed records)")


def claims(arguments: argparse.Namespace) -> int:
    """Prints the claims with their verdicts, or saves or checks the page of all claims.

    Returns 1 if the check fails.
    """
    return run_page(arguments, PAGE, _page, _show)


def _show(paths: list[Path], runs: Path) -> None:
    sections = [_section(path, _load(path), runs) for path in paths or _committed_experiments()]
    print_markdown("\n".join(sections))


def _load(path: Path) -> Experiment:
    experiment = load_experiment(path)
    if not experiment.claims:
        raise UserError(f"{path} defines no CLAIMS")
    return experiment


def _committed_experiments() -> list[Path]:
    """Returns the experiments with claims and committed records.

    Raises:
      UserError: there are none in the working directory.
    """
    paths = [path for path in experiments_with("CLAIMS") if results_file(path).is_file()]
    if not paths:
        raise UserError(f"{EXPERIMENTS}/ has no experiment with CLAIMS and committed records here")
    return paths


def _section(path: Path, experiment: Experiment, runs: Path | None = None, links: str = "") -> str:
    """Returns Markdown with the claims of one experiment.

    Args:
      runs: the directory of the runs; None: only committed records are read.
      links: Markdown below the heading.
    """
    from attn_research.reports.render import markdown_escape

    heading = f"## {markdown_escape(experiment.table.title or experiment.name)}"
    table = judged_claims(path, load_records(experiment, results_file(path), runs))
    return "\n\n".join(filter(None, [heading, links, table]))


def judged_claims(path: Path, loaded: ExperimentRecords) -> str:
    """Returns a Markdown table of an experiment's claims with their verdicts.

    Raises:
      UserError: a claim cannot be judged; the message names the file of the experiment.
    """
    from attn_research.reports.claims import judge
    from attn_research.reports.claims_page import claims_table

    rows, missing, reasons = loaded.rows()
    try:
        judged = judge(read_claims(loaded.experiment), rows)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    return claims_table(judged, rows, missing, reasons)


def _page() -> str:
    """Returns the page of all claims, from committed records."""
    from attn_research.reports.claims_page import INTRODUCTION

    return "\n".join(
        [INTRODUCTION, *(_section(path, _load(path), links=_links(path)) for path in _committed_experiments())]
    )


def _links(path: Path) -> str:
    return f"{link(results_file(path).with_suffix('.md'), 'Table')} of {link(path)}."
