"""`attn-research figure`: an experiment's attention on one test item, or its dev curves."""

import argparse
from pathlib import Path
from typing import Any

from attn_research.commands.arguments import add_command
from attn_research.commands.console import print_error
from attn_research.commands.experiment import (
    add_experiment,
    check_changes,
    committed_file,
    executed_runs,
    read_experiment,
    read_tuning,
    trials_file,
)
from attn_research.commands.experiment_records import load_records
from attn_research.config import Config
from attn_research.errors import UserError
from attn_research.sweeps.expand import Experiment

EXAMPLES = """\
experiments/score_functions.py
experiments/score_functions.py --item 3
experiments/score_functions.py --curves exact"""


def add_parser(commands: Any) -> None:
    """Adds the command to the parser."""
    command = add_command(
        commands, "figure", figure, "draw the attention of every variant on one test item, or its dev curves", EXAMPLES
    )
    add_experiment(command)
    what = command.add_mutually_exclusive_group()
    what.add_argument("--item", metavar="N", type=int, default=0, help="number of the test item (default: 0)")
    what.add_argument(
        "--curves",
        metavar="METRIC",
        nargs="?",
        const="",
        help="draw a dev metric by training step, from the records (default: the metric of train.select)",
    )


def figure(arguments: argparse.Namespace) -> int:
    """Draws attention maps of one test item or dev curves, a map or line for each row of the experiment's table."""
    experiment, runs = read_experiment(arguments), Path(arguments.runs)
    if arguments.curves is not None:
        return _draw_curves(arguments, experiment, runs)
    check_changes(arguments, experiment.runs)
    directories = _first_runs(experiment, runs, committed_file(arguments, experiment))
    if not directories:
        raise UserError(f"no run of {experiment.name} is finished in {runs}; `attn-research sweep` trains them")
    from attn_research.reports.figures import attention_maps
    from attn_research.reports.items import load_item

    items = {label: load_item(directory, arguments.item) for label, directory in directories.items()}
    for path in attention_maps(items, runs / "reports" / experiment.name):
        print(path)
    return 0


def _draw_curves(arguments: argparse.Namespace, experiment: Experiment, runs: Path) -> int:
    """Draws a dev metric by training step, from the records that `table` shows; prints which records it leaves out."""
    from attn_research.reports.curves import draw_dev_curves, without_curve
    from attn_research.reports.notes import list_diverged, list_first, list_missing

    loaded = load_records(experiment, committed_file(arguments, experiment), runs)
    check_changes(arguments, loaded.missing)
    rows, missing, reasons = loaded.rows()
    first = next(record for records in rows.values() for record in records)
    metric = arguments.curves.removeprefix("dev/") or first["config"]["train.select"]
    paths = draw_dev_curves(rows, metric, runs / "reports" / f"{experiment.name}-curves")
    without = without_curve(rows, metric)
    no_curve = [f"{list_first(without)}: no dev curve of {metric}"] if without else []
    for sentence in [*list_diverged(rows), *list_missing(missing), *reasons, *no_curve]:
        print_error(sentence)
    for path in paths:
        print(path)
    return 0


def _first_runs(experiment: Experiment, runs: Path, committed: Path) -> dict[str, Path]:
    """Returns the directory of the first finished run of every row.

    Raises:
      UserError: the code of a run has changed since, or the runs do not share their data.
    """
    from attn_research.reports.selection import select_current_code, select_same_data
    from attn_research.runs import records
    from attn_research.runs.identity import warn_unrecorded
    from attn_research.runs.trials import load_trials
    from attn_research.training.run_status import FRESH_HINT

    by_config = records.by_config(records.load_runs(runs))
    tuning = read_tuning(experiment, by_config, records.by_config(load_trials(trials_file(committed))))
    first: dict[str, Config] = {}
    for config, trained in executed_runs(experiment, tuning).items():
        if trained in by_config and by_config[trained]["status"] == "finished":
            first.setdefault(experiment.table.label(config), trained)
    chosen = {config: by_config[config] for config in first.values()}
    _, edited = select_current_code(chosen, chosen)
    _, others = select_same_data(chosen)
    for config, reason in (edited | others).items():
        raise UserError(f"{runs / chosen[config]['id']} cannot be drawn beside the others: {reason}; {FRESH_HINT}")
    warn_unrecorded(list(chosen.values()), experiment.name)
    return {label: runs / chosen[config]["id"] for label, config in first.items()}
