"""`attn-research table`: an experiment's table, from the records of its runs."""

import argparse
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attn_research import storage
from attn_research.commands.arguments import add_command
from attn_research.commands.console import print_error, print_markdown, report_diverged
from attn_research.commands.experiment import add_experiment, check_changes, read_experiment
from attn_research.commands.experiment_records import RecordsByConfig, committed_records, load_records, select_rows
from attn_research.config import Config
from attn_research.errors import UserError
from attn_research.sweeps.expand import Experiment

if TYPE_CHECKING:
    from attn_research.reports.render import TableData

EXAMPLES = """\
experiments/score_functions.py
experiments/score_functions.py --format tex
experiments/score_functions.py --add model.attention.score=my_scores.py:cosine
experiments/score_functions.py --pairs
experiments/score_functions.py --check"""
BEGIN, END = "<!-- table of experiments/results/{} -->", "<!-- end of table -->"


def add_parser(commands: Any) -> None:
    """Adds the command to the parser."""
    command = add_command(
        commands, "table", table, "print an experiment's table, made from the records of its runs", EXAMPLES
    )
    add_experiment(command)
    command.add_argument("--format", choices=("md", "tex", "csv"), help="format of the output (default: md)")
    action = command.add_mutually_exclusive_group()
    action.add_argument("--save", action="store_true", help="write records and table to results/ beside the experiment")
    action.add_argument("--pairs", action="store_true", help="compare every pair of rows in every metric column")
    action.add_argument(
        "--check", action="store_true", help="fail if the table in results/ does not follow from its records"
    )


def table(arguments: argparse.Namespace) -> int:
    """Prints the table, or saves or checks the committed one.

    Returns 1 if the check fails, or if a run of the printed table diverged.
    """
    experiment = read_experiment(arguments)
    committed = committed_records(arguments.experiment)
    if arguments.check or arguments.save:
        if arguments.changes or arguments.add:
            raise UserError("--save and --check need the unchanged experiment, without key=value and --add")
        return _check(experiment, committed) if arguments.check else _save(experiment, Path(arguments.runs), committed)
    if arguments.pairs:
        return _print_pairs(arguments, experiment, committed)
    return _print_table(arguments, experiment, committed)


def _print_pairs(arguments: argparse.Namespace, experiment: Experiment, committed: Path) -> int:
    """Prints the comparison of every pair of rows."""
    from attn_research.reports.pairs import pairs_page

    if arguments.format not in (None, "md"):
        raise UserError(f"--pairs prints Markdown, not --format {arguments.format}")
    by_config, left_out = load_records(experiment, Path(arguments.runs), committed)
    check_changes(arguments, (config for config in experiment.runs if config not in by_config))
    print_markdown(pairs_page(experiment.table, *select_rows(experiment, by_config, left_out)))
    return report_diverged([by_config[config] for config in experiment.runs if config in by_config])


def _print_table(arguments: argparse.Namespace, experiment: Experiment, committed: Path) -> int:
    """Prints the table, and writes it in every format into reports/ below the runs."""
    from attn_research.reports.render import FORMATS

    by_config, left_out = load_records(experiment, Path(arguments.runs), committed)
    check_changes(arguments, (config for config in experiment.runs if config not in by_config))
    data = _build(experiment, by_config, left_out)
    stem = Path(arguments.runs) / "reports" / experiment.name
    for name in FORMATS:
        storage.write(stem.with_name(f"{stem.name}.{name}"), data.render(name))
    if arguments.format:
        print(data.render(arguments.format), end="")
    else:
        print_markdown(data.render("md"))
    print(f"{stem}.{{{','.join(FORMATS)}}}", file=sys.stderr)
    return report_diverged([by_config[config] for config in experiment.runs if config in by_config])


def _build(
    experiment: Experiment, by_config: RecordsByConfig, left_out: Mapping[Config, str] | None = None
) -> "TableData":
    """Returns the experiment's table. Args and errors are as in `select_rows`."""
    rows, missing, reasons = select_rows(experiment, by_config, left_out)
    return experiment.table.build(rows, experiment.published, missing, reasons)


def _save(experiment: Experiment, runs: Path, committed: Path) -> int:
    """Writes the records and the table, also into the README of the checkout if it shows the table."""
    from attn_research.runs import records

    by_config, left_out = load_records(experiment, runs, committed)
    saved = [dict(by_config[config]) for config in experiment.runs if config in by_config]
    if flaws := _flaws(saved):
        raise UserError(f"the records {' and '.join(flaws)}; nothing saved")
    text = _build(experiment, by_config, left_out).render("md")  # its notes name the missing runs
    records.save_committed(committed, saved)
    page = committed.with_suffix(".md")
    storage.write(page, text)
    print(f"{committed}\n{page}")
    for path, page_text in _pages_with(page):
        storage.write(path, _insert_table(page_text, page, text))
        print(path)
    return 0


def _pages_with(page: Path) -> list[tuple[Path, str]]:
    """Returns path and text of the checkout's README, if it shows the table of `page` between two comments."""
    readme = page.resolve().parents[2] / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.is_file() else ""
    return [(readme, text)] if BEGIN.format(page.name) in text else []


def _insert_table(text: str, page: Path, table: str) -> str:
    """Returns the text with the table of `page` replaced."""
    before, begin, rest = text.partition(BEGIN.format(page.name))
    return before + begin + "\n" + table + END + rest.partition(END)[2]


def _flaws(run_records: Iterable[Mapping[str, Any]]) -> list[str]:
    """Returns why records cannot be published as one experiment."""
    commits = sorted({str(record["commit"]) for record in run_records})
    flaws = [f"are of several commits ({', '.join(commit[:10] for commit in commits)})"] if len(commits) > 1 else []
    return flaws + (
        ["were made with uncommitted changes"] if any(record["dirty"] is not False for record in run_records) else []
    )


def _check(experiment: Experiment, committed: Path) -> int:
    """Compares the committed table with the table of the committed records, and prints the difference."""
    import difflib

    from attn_research.runs import records

    page = committed.with_suffix(".md")
    if not (committed.is_file() and page.is_file()):
        raise UserError(f"{experiment.name} has no {committed} and {page.name}; --save writes them")
    saved = records.load_committed(committed)
    flaws = [f"the records {flaw}" for flaw in _flaws(saved)]
    old, new = page.read_text(encoding="utf-8"), _build(experiment, records.by_config(saved)).render("md")
    if old != new:
        flaws.append(f"{page} is not the table of its records")
        names = (str(page), "from the records")
        sys.stdout.writelines(difflib.unified_diff(old.splitlines(True), new.splitlines(True), *names))
    flaws += [
        f"{path} shows another table"
        for path, page_text in _pages_with(page)
        if _insert_table(page_text, page, new) != page_text
    ]
    for flaw in flaws:
        print_error(flaw)
    return 1 if flaws else 0
