"""`attn-research table`: an experiment's table, from the records of its runs."""

import argparse
import sys
from pathlib import Path
from typing import Any

from attn_research import storage
from attn_research.commands.arguments import add_command
from attn_research.commands.console import print_error, print_markdown, report_diverged
from attn_research.commands.experiment import (
    add_experiment,
    check_changes,
    committed_file,
    is_changed,
    read_experiment,
    trials_file,
)
from attn_research.commands.experiment_records import ExperimentRecords, item_metrics, load_records
from attn_research.errors import UserError
from attn_research.sweeps.expand import Experiment, load_experiment

EXAMPLES = """\
experiments/score_functions.py
experiments/score_functions.py --format tex
experiments/score_functions.py --add model.attention.score=my_scores.py:cosine
experiments/score_functions.py --pairs
experiments/score_functions.py --by length
experiments/score_functions.py --seeds 3 --verify
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
        "--by",
        metavar="NAME",
        help="show a metric on slices of the test items: by length, target_length, frequency (in training), or an "
        "attribute of the task",
    )
    action.add_argument(
        "--verify",
        action="store_true",
        help="say for every number of the runs here whether the interval in results/ holds it",
    )
    action.add_argument(
        "--check", action="store_true", help="fail if the table in results/ does not follow from its records"
    )
    command.add_argument("--metric", metavar="COLUMN", help="metric of --by, as in test/exact (default: the first one)")


def table(arguments: argparse.Namespace) -> int:
    """Prints the table, or saves or checks the committed one.

    Returns 1 if the check fails, or if a run of the printed table diverged.
    """
    experiment = read_experiment(arguments)
    committed = committed_file(arguments, experiment)
    if arguments.check or arguments.save:
        if is_changed(arguments):
            raise UserError("--save and --check need the unchanged experiment, without options that change it")
        return _check(experiment, committed) if arguments.check else _save(experiment, Path(arguments.runs), committed)
    if arguments.metric and not arguments.by:
        raise UserError("--metric needs --by")
    if arguments.pairs:
        return _print_pairs(arguments, experiment, committed)
    if arguments.verify:
        return _verify(arguments, experiment, committed)
    return _print_table(arguments, experiment, committed)


def _print_pairs(arguments: argparse.Namespace, experiment: Experiment, committed: Path) -> int:
    """Prints the comparison of every pair of rows."""
    from attn_research.reports.pairs import pairs_page

    if arguments.format not in (None, "md"):
        raise UserError(f"--pairs prints Markdown, not --format {arguments.format}")
    loaded = load_records(experiment, committed, Path(arguments.runs))
    check_changes(arguments, loaded.missing)
    rows, missing, reasons = loaded.rows()
    print_markdown(pairs_page(experiment.table, rows, missing, [*loaded.notes, *reasons]))
    return report_diverged(record["status"] for record in loaded.by_config.values())


def _verify(arguments: argparse.Namespace, experiment: Experiment, committed: Path) -> int:
    """Prints the numbers of the runs here beside the committed intervals."""
    from attn_research.reports.verify import verify_page

    if arguments.changes or arguments.add or arguments.tune or arguments.no_tune or arguments.match:
        raise UserError("--verify needs the experiment as it is committed; only --seeds may change it")
    if not committed.is_file():
        raise UserError(f"{experiment.name} has no {committed}; --save writes it")
    whole = load_records(load_experiment(arguments.experiment), committed)
    here = load_records(experiment, committed, Path(arguments.runs), own_only=True)
    print_markdown(verify_page(here.table(), whole.table()))
    return report_diverged(record["status"] for record in here.by_config.values())


def _print_table(arguments: argparse.Namespace, experiment: Experiment, committed: Path) -> int:
    """Prints the table, and writes it in every format into reports/ below the runs."""
    from attn_research.reports.render import FORMATS

    loaded = load_records(experiment, committed, Path(arguments.runs))
    check_changes(arguments, loaded.missing)
    stem = Path(arguments.runs) / "reports" / experiment.name
    if arguments.by:
        loaded = loaded.by_attribute(arguments.by, arguments.metric)
        stem = stem.with_name(f"{stem.name}-by-{arguments.by}")
    data = loaded.table()
    for name in FORMATS:
        storage.write(stem.with_name(f"{stem.name}.{name}"), data.render(name))
    if arguments.format:
        print(data.render(arguments.format), end="")
    else:
        print_markdown(data.render("md"))
    print(f"{stem}.{{{','.join(FORMATS)}}}", file=sys.stderr)
    return report_diverged(record["status"] for record in loaded.by_config.values())


def _save(experiment: Experiment, runs: Path, committed: Path) -> int:
    """Writes the records and the table, also into the README of the checkout if it shows the table."""
    from attn_research.runs.committed import save_committed
    from attn_research.runs.trials import save_trials

    loaded = load_records(experiment, committed, runs)
    saved = [dict(record) for record in loaded.by_config.values()]
    if flaws := _flaws(loaded):
        raise UserError(f"{' and '.join(flaws)}; nothing saved")
    text = loaded.table().render("md")  # its notes name the missing runs
    save_committed(committed, saved, item_metrics(experiment))
    page = committed.with_suffix(".md")
    storage.write(page, text)
    print(f"{committed}\n{page}")
    if loaded.tuning is not None:
        metric = loaded.tuning.tune.dev_metric.name
        save_trials(trials_file(committed), loaded.trials, loaded.tuning.chosen_ids(), metric)
        print(trials_file(committed))
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


def _flaws(loaded: ExperimentRecords) -> list[str]:
    """Returns why records cannot be published as one experiment. Evaluations may be newer than the runs."""
    groups = {"records": [*loaded.by_config.values(), *loaded.trials], "evaluations": loaded.evaluations}
    flaws = []
    for name, group in groups.items():
        commits = sorted({str(one["commit"]) for one in group})
        if len(commits) > 1:
            flaws.append(f"the {name} are of several commits ({', '.join(commit[:10] for commit in commits)})")
        if any(one["dirty"] is not False for one in group):
            flaws.append(f"the {name} were made with uncommitted changes")
    return flaws


def _check(experiment: Experiment, committed: Path) -> int:
    """Compares the committed table with the table of the committed records, and prints the difference."""
    import difflib

    page = committed.with_suffix(".md")
    if not (committed.is_file() and page.is_file()):
        raise UserError(f"{experiment.name} has no {committed} and {page.name}; --save writes them")
    loaded = load_records(experiment, committed)
    flaws = [*_flaws(loaded), *_wrong_choices(loaded, trials_file(committed))]
    old, new = page.read_text(encoding="utf-8"), loaded.table().render("md")
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


def _wrong_choices(loaded: ExperimentRecords, path: Path) -> list[str]:
    """Returns a sentence for each committed trial whose mark as chosen does not follow from the trials."""
    if loaded.tuning is None:
        return []
    chosen = loaded.tuning.chosen_ids()
    return [
        f"{path}: trial {record['id']} is marked as {'' if record['chosen'] else 'not '}chosen, which is wrong"
        for record in loaded.trials
        if record["chosen"] != (record["id"] in chosen)
    ]
