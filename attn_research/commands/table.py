"""`attn-research table`: an experiment's table, from records on disk."""

import argparse
import difflib
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from attn_research.commands.console import print_error, print_markdown, report_diverged
from attn_research.commands.sweep import check_requested, read_experiment
from attn_research.config import Config
from attn_research.errors import UserError
from attn_research.reports import user_metrics
from attn_research.reports.render import FORMATS, TableData
from attn_research.reports.selection import select_current_code, select_same_data
from attn_research.reports.tables import EMPTY
from attn_research.runs import identity, records
from attn_research.runs.identity import warn_unrecorded
from attn_research.sweeps.expand import Experiment

BEGIN, END = "<!-- table of experiments/results/{} -->", "<!-- end of table -->"
RecordsByConfig = Mapping[Config, Mapping[str, Any]]


def table(arguments: argparse.Namespace) -> int:
    """Prints the table, or with --save or --check says whether it is as it must be.

    Returns 1 if it is not, or if a run of the printed table diverged.
    """
    experiment = read_experiment(arguments)
    committed = Path(arguments.experiment).parent / "results" / f"{experiment.name}.jsonl"
    if arguments.check or arguments.save:
        if arguments.changes or arguments.add:
            raise UserError("--save and --check are for the experiment as it stands, without key=value and --add")
        return _check(experiment, committed) if arguments.check else _save(experiment, Path(arguments.runs), committed)
    result, left_out = load_records(experiment, Path(arguments.runs), committed)
    check_requested(arguments, (config for config in experiment.runs if config not in result))
    table_data = build(experiment, result, left_out)
    stem = Path(arguments.runs) / "reports" / experiment.name
    _write(table_data, stem)
    _print_table(table_data, arguments.format)
    print(f"{stem}.{{{','.join(FORMATS)}}}", file=sys.stderr)
    return report_diverged([result[config] for config in experiment.runs if config in result])


def load_records(experiment: Experiment, runs: Path, committed: Path) -> tuple[RecordsByConfig, dict[Config, str]]:
    """The experiment's records by config, in `runs` or else the committed ones, and why others are left out.

    Left out are those that were made with other files of users than there are now.
    """
    own, others = records.load_runs(runs), records.load_committed(committed)
    result, left_out = select_current_code(experiment.runs, records.by_config(own), records.by_config(others))
    warn_unrecorded(list(result.values()), experiment.name)
    return user_metrics.add(result, runs, experiment.table.columns), left_out


def build(
    experiment: Experiment, records_by_config: RecordsByConfig, left_out: Mapping[Config, str] = EMPTY
) -> TableData:
    """The experiment's table, of the records of one set of data.

    Args:
      left_out: why further records are not in `records_by_config`, to be named below the table.

    Raises:
      UserError: there is no record at all.
    """
    records_by_config, others = select_same_data(
        {config: records_by_config[config] for config in experiment.runs if config in records_by_config}
    )
    left_out = left_out | others
    rows, missing = experiment.table.group(
        [config for config in experiment.runs if config not in left_out], records_by_config
    )
    if not any(rows.values()):
        if left_out:
            why = identity.join_distinct(left_out.values())
            raise UserError(f"no record of {experiment.name} can be shown: {why}; `attn-research sweep --fresh` helps")
        raise UserError(f"no run of {experiment.name} is finished; `attn-research sweep` makes them")
    reasons = [
        f"`{experiment.table.label(config)}`, seed {config.seed}, is left out: {reason}."
        for config, reason in left_out.items()
    ]
    return experiment.table.build(rows, experiment.published, missing, reasons)


def _write(table_data: TableData, stem: Path) -> None:
    stem.parent.mkdir(parents=True, exist_ok=True)
    for form in FORMATS:
        stem.with_name(f"{stem.name}.{form}").write_text(table_data.render(form), encoding="utf-8")


def _print_table(table_data: TableData, form: str | None) -> None:
    """As text; on a terminal, if no format was asked for, drawn."""
    if form:
        print(table_data.render(form), end="")
    else:
        print_markdown(table_data.render("md"))


def _save(experiment: Experiment, runs: Path, committed: Path) -> int:
    records_by_config, left_out = load_records(experiment, runs, committed)
    experiment_records = [records_by_config[config] for config in experiment.runs if config in records_by_config]
    if flaws := _flaws(experiment_records):
        raise UserError(f"the records {' and '.join(flaws)}; nothing saved")
    text = build(experiment, records_by_config, left_out).render("md")  # which names the runs that are missing
    records.save_committed(committed, experiment_records)
    page = committed.with_suffix(".md")
    page.write_text(text, encoding="utf-8")
    print(f"{committed}\n{page}")
    for path, page_text in _pages_with(page):
        path.write_text(_insert_table(page_text, page, text), encoding="utf-8")
        print(path)
    return 0


def _pages_with(page: Path) -> list[tuple[Path, str]]:
    """The README of the checkout, with its text, if it shows the table in `page` between two comments."""
    readme = page.resolve().parents[2] / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.is_file() else ""
    return [(readme, text)] if BEGIN.format(page.name) in text else []


def _insert_table(text: str, page: Path, table: str) -> str:
    """The text with `table` in place of the table of `page`."""
    before, begin, rest = text.partition(BEGIN.format(page.name))
    return before + begin + "\n" + table + END + rest.partition(END)[2]


def _flaws(run_records: Iterable[Mapping[str, Any]]) -> list[str]:
    """What forbids to show records as one experiment."""
    commits = sorted({str(record["commit"]) for record in run_records})
    flaws = [f"are of several commits ({', '.join(commit[:10] for commit in commits)})"] if len(commits) > 1 else []
    return flaws + (
        ["were made with uncommitted changes"] if any(record["dirty"] is not False for record in run_records) else []
    )


def _check(experiment: Experiment, committed: Path) -> int:
    """Compares the committed table with the one that the committed records give."""
    page = committed.with_suffix(".md")
    if not (committed.is_file() and page.is_file()):
        raise UserError(f"{experiment.name} has no {committed} and {page.name}; --save writes them")
    committed_records = records.load_committed(committed)
    flaws = [f"the records {flaw}" for flaw in _flaws(committed_records)]
    old, new = page.read_text(encoding="utf-8"), build(experiment, records.by_config(committed_records)).render("md")
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
