"""`attn-research papers`: the tables of papers that experiments re-run, with verdicts on what the papers claim."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attn_research.commands.arguments import add_command
from attn_research.commands.claims import judged_claims
from attn_research.commands.console import print_markdown
from attn_research.commands.experiment import results_file
from attn_research.commands.experiment_records import load_records, read_claims
from attn_research.commands.pages import EXPERIMENTS, add_page, experiments_with, link, run_page
from attn_research.errors import UserError
from attn_research.sweeps.expand import Experiment, load_experiment

if TYPE_CHECKING:
    from attn_research.reports.papers import Paper

EXAMPLES = """\

experiments/luong2015_table4.py
--check"""
PAGE = Path("docs/papers.md")


def add_parser(commands: Any) -> None:
    """Adds the command to the parser."""
    command = add_command(
        commands,
        "papers",
        papers,
        "print the tables of papers that experiments re-run, with verdicts and what differs from the papers",
        EXAMPLES,
    )
    add_page(command, PAGE, f"files with a PAPER (default: all in {EXPERIMENTS}/)")


def papers(arguments: argparse.Namespace) -> int:
    """Prints the sections of experiments, or saves or checks the page of all of them.

    Returns 1 if the check fails.
    """
    return run_page(arguments, PAGE, _page, _show)


def _show(paths: list[Path], runs: Path) -> None:
    print_markdown("\n".join(_section(path, runs) for path in paths or _paths()))


def read_paper(path: Path, experiment: Experiment) -> "Paper":
    """Returns the paper of an experiment.

    Raises:
      UserError: there is none, or `PAPER` is something else.
    """
    from attn_research.reports.papers import Paper

    if experiment.paper is None:
        raise UserError(f"{path} defines no PAPER")
    if not isinstance(experiment.paper, Paper):
        raise UserError(f"PAPER of {path} is {experiment.paper!r}, but must be a Paper(source, claim, full)")
    return experiment.paper


def _page() -> str:
    """Returns the page of all papers, from committed records."""
    from attn_research.reports.papers_page import INTRODUCTION

    return "\n".join([INTRODUCTION, *map(_section, _paths())])


def _paths() -> list[Path]:
    """Returns the experiments on papers.

    Raises:
      UserError: there are none in the working directory.
    """
    paths = experiments_with("PAPER")
    if not paths:
        raise UserError(f"{EXPERIMENTS}/ has no experiment with PAPER here")
    return paths


def _section(path: Path, runs: Path | None = None) -> str:
    """Returns Markdown about one experiment.

    Args:
      runs: the directory of the runs; None: only committed records are read.
    """
    from attn_research.reports.papers_page import PaperSection

    experiment, committed = load_experiment(path), results_file(path)
    paper, table, tune = read_paper(path, experiment), experiment.table, experiment.tune
    loaded = load_records(experiment, committed, runs)
    saved = f", {link(committed.with_suffix('.md'), 'table')}" if committed.is_file() else ""
    section = PaperSection(
        title=table.title or experiment.name,
        paper=paper,
        links=f"{link(path)}{saved}.",
        data=loaded.table() if loaded.by_config else table.build({}, experiment.published),
        claims=read_claims(experiment),
        verdicts=judged_claims(path, loaded) if loaded.by_config else "",
        differences=paper.differences(experiment.runs, () if tune is None else tune.fields),
        command=f"attn-research sweep {path.as_posix()}",
    )
    return section.render()
