"""`attn-research claims`: the claims of experiments, with verdicts that are computed from records."""

import argparse
import sys
from pathlib import Path
from typing import Any

from attn_research import storage
from attn_research.commands.arguments import add_command, add_runs
from attn_research.commands.console import print_error, print_markdown
from attn_research.commands.experiment import results_file
from attn_research.commands.experiment_records import load_records, read_claims
from attn_research.config import run_file
from attn_research.errors import UserError
from attn_research.sweeps.expand import Experiment, load_experiment, locate_errors

EXAMPLES = """\

experiments/score_functions.py
--check"""
EXPERIMENTS, PAGE = Path("experiments"), Path("docs/claims.md")


def add_parser(commands: Any) -> None:
    """Adds the command to the parser."""
    command = add_command(
        commands,
        "claims",
        claims,
        "print whether the claims of experiments hold, by the records of their runs",
        EXAMPLES,
    )
    command.add_argument(
        "experiments",
        metavar="EXPERIMENT",
        nargs="*",
        help=f"files with CLAIMS (default: all in {EXPERIMENTS}/ that have committed records)",
    )
    action = command.add_mutually_exclusive_group()
    action.add_argument("--save", action="store_true", help=f"write {PAGE} from the committed records")
    action.add_argument(
        "--check", action="store_true", help=f"fail if {PAGE} does not follow from the committed records"
    )
    add_runs(command)


def claims(arguments: argparse.Namespace) -> int:
    """Prints the claims with their verdicts, or saves or checks the page of all claims.

    Returns 1 if the check fails.
    """
    if arguments.save or arguments.check:
        if arguments.experiments:
            raise UserError("--save and --check take all experiments, so they allow no EXPERIMENT")
        return _check() if arguments.check else _save()
    paths = [Path(path) for path in arguments.experiments] or _committed_experiments()
    sections = [_section(path, _load(path), Path(arguments.runs)) for path in paths]
    print_markdown("\n".join(sections))
    return 0


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
    committed = [path for path in sorted(EXPERIMENTS.glob("*.py")) if results_file(path).is_file()]
    paths = [path for path in committed if _has_claims(path)]
    if not paths:
        raise UserError(f"{EXPERIMENTS}/ has no experiment with CLAIMS and committed records here")
    return paths


def _has_claims(path: Path) -> bool:
    with locate_errors(path):
        return bool(run_file(path).get("CLAIMS"))


def _section(path: Path, experiment: Experiment, runs: Path | None = None, link: str = "") -> str:
    """Returns Markdown with the claims of one experiment.

    Args:
      runs: the directory of the runs; None: only committed records are read.
      link: Markdown below the heading.
    """
    from attn_research.reports.claims import judge
    from attn_research.reports.claims_page import claims_table
    from attn_research.reports.render import markdown_escape

    rows, missing, reasons = load_records(experiment, results_file(path), runs).rows()
    try:
        judged = judge(read_claims(experiment), rows)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    heading = f"## {markdown_escape(experiment.table.title or experiment.name)}"
    return "\n\n".join(filter(None, [heading, link, claims_table(judged, rows, missing, reasons)]))


def _page() -> str:
    """Returns the page of all claims, from committed records."""
    from attn_research.reports.claims_page import INTRODUCTION

    return "\n".join(
        [INTRODUCTION, *(_section(path, _load(path), link=_links(path)) for path in _committed_experiments())]
    )


def _links(path: Path) -> str:
    table = results_file(path).with_suffix(".md")
    return f"[Table](../{table.as_posix()}) of [{path.as_posix()}](../{path.as_posix()})."


def _save() -> int:
    storage.write(PAGE, _page())
    print(PAGE)
    return 0


def _check() -> int:
    """Compares the page with that of the committed records, and prints the difference."""
    import difflib

    if not PAGE.is_file():
        raise UserError(f"there is no {PAGE}; --save writes it")
    old, new = PAGE.read_text(encoding="utf-8"), _page()
    if old == new:
        return 0
    names = (str(PAGE), "from the records")
    sys.stdout.writelines(difflib.unified_diff(old.splitlines(True), new.splitlines(True), *names))
    print_error(f"{PAGE} does not follow from the committed records; --save writes it")
    return 1
