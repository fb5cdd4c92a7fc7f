"""`attn-research table`: an experiment's table, from records on disk."""

import argparse
import difflib
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from attn_research.commands.sweep import check_asked_for, read_experiment
from attn_research.commands.words import complain, show_markdown, tell_diverged
from attn_research.config import Config, from_flat
from attn_research.errors import UserError
from attn_research.reports.render import FORMS, Built
from attn_research.runs import records
from attn_research.sweeps.expand import Experiment

BEGIN, END = "<!-- table of experiments/results/{} -->", "<!-- end of table -->"
Found = Mapping[Config, Mapping[str, Any]]


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
    found = found_records(Path(arguments.runs), committed)
    check_asked_for(arguments, (config for config in experiment.runs if config not in found))
    built = build(experiment, found)
    stem = Path(arguments.runs) / "reports" / experiment.name
    _write(built, stem)
    _show(built, arguments.format)
    print(f"{stem}.{{{','.join(FORMS)}}}", file=sys.stderr)
    return tell_diverged([found[config] for config in experiment.runs if config in found])


def found_records(runs: Path, committed: Path) -> Found:
    """Records by config: those in `runs` that the users' own files of today made, then the committed ones."""
    own = [record for record in records.load_runs(runs) if _is_current(record)]
    return records.by_config([*own, *records.load_committed(committed)])


def _is_current(record: Mapping[str, Any]) -> bool:
    """Whether a record is of a config that still is one, made with the code that its specs name now."""
    try:
        return record["user_code"] == records.user_code(from_flat(record["config"]))
    except UserError:
        return False


def build(experiment: Experiment, found: Found) -> Built:
    """The experiment's table.

    Raises:
      UserError: there is no record at all.
    """
    rows, missing = experiment.table.group(experiment.runs, found)
    if not any(rows.values()):
        raise UserError(f"no run of {experiment.name} is finished; `attn-research sweep` makes them")
    return experiment.table.build(rows, experiment.published, missing)


def _write(built: Built, stem: Path) -> None:
    stem.parent.mkdir(parents=True, exist_ok=True)
    for form in FORMS:
        stem.with_name(f"{stem.name}.{form}").write_text(built.render(form), encoding="utf-8")


def _show(built: Built, form: str | None) -> None:
    """As text; on a terminal, if no format was asked for, drawn."""
    if form:
        print(built.render(form), end="")
    else:
        show_markdown(built.render("md"))


def _save(experiment: Experiment, runs: Path, committed: Path) -> int:
    found = found_records(runs, committed)
    kept = [found[config] for config in experiment.runs if config in found]
    if flaws := _flaws(kept):
        raise UserError(f"the records {' and '.join(flaws)}; nothing saved")
    text = build(experiment, found).render("md")  # which names the runs that are missing
    records.save_committed(committed, kept)
    page = committed.with_suffix(".md")
    page.write_text(text, encoding="utf-8")
    print(f"{committed}\n{page}")
    for path, shown in _shown_in(page):
        path.write_text(_filled(shown, page, text), encoding="utf-8")
        print(path)
    return 0


def _shown_in(page: Path) -> list[tuple[Path, str]]:
    """The README of the checkout, with its text, if it shows the table in `page` between two comments."""
    readme = page.resolve().parents[2] / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.is_file() else ""
    return [(readme, text)] if BEGIN.format(page.name) in text else []


def _filled(shown: str, page: Path, table: str) -> str:
    """The text `shown` with `table` where the one of `page` stands."""
    before, begin, rest = shown.partition(BEGIN.format(page.name))
    return before + begin + "\n" + table + END + rest.partition(END)[2]


def _flaws(kept: Iterable[Mapping[str, Any]]) -> list[str]:
    """What forbids to show records as one experiment."""
    commits = sorted({str(record["commit"]) for record in kept})
    flaws = [f"are of several commits ({', '.join(commit[:10] for commit in commits)})"] if len(commits) > 1 else []
    return flaws + (
        ["were made with uncommitted changes"] if any(record["dirty"] is not False for record in kept) else []
    )


def _check(experiment: Experiment, committed: Path) -> int:
    """Compares the committed table with the one that the committed records give."""
    page = committed.with_suffix(".md")
    if not (committed.is_file() and page.is_file()):
        raise UserError(f"{experiment.name} has no {committed} and {page.name}; --save writes them")
    kept = records.load_committed(committed)
    flaws = [f"the records {flaw}" for flaw in _flaws(kept)]
    old, new = page.read_text(encoding="utf-8"), build(experiment, records.by_config(kept)).render("md")
    if old != new:
        flaws.append(f"{page} is not the table of its records")
        names = (str(page), "from the records")
        sys.stdout.writelines(difflib.unified_diff(old.splitlines(True), new.splitlines(True), *names))
    flaws += [f"{path} shows another table" for path, shown in _shown_in(page) if _filled(shown, page, new) != shown]
    for flaw in flaws:
        complain(flaw)
    return 1 if flaws else 0
