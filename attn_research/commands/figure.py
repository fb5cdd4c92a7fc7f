"""`attn-research figure`: pictures of an experiment: attention maps, dev curves, quality against cost or length."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attn_research import storage
from attn_research.commands.arguments import add_command
from attn_research.commands.console import print_error, report_diverged
from attn_research.commands.experiment import (
    add_experiment,
    check_changes,
    committed_file,
    executed_runs,
    read_experiment,
    read_tuning,
    trials_file,
)
from attn_research.commands.experiment_records import ExperimentRecords, load_records
from attn_research.config import Config
from attn_research.errors import UserError
from attn_research.sweeps.expand import Experiment

if TYPE_CHECKING:
    from attn_research.reports.axes import Lines
    from attn_research.reports.panels import Panel

EXAMPLES = """\
experiments/score_functions.py
experiments/score_functions.py --item 3
experiments/score_functions.py --curves exact
experiments/score_functions.py --by length --metric test/exact
experiments/score_functions.py --cost parameters
experiments/battery.py --axes"""


def add_parser(commands: Any) -> None:
    """Adds the command to the parser."""
    command = add_command(
        commands,
        "figure",
        figure,
        "draw the attention of every variant on one test item, or numbers of all variants as lines or points",
        EXAMPLES,
    )
    add_experiment(command)
    what = command.add_mutually_exclusive_group()
    what.add_argument("--item", metavar="N", type=int, help="number of the test item (default: 0)")
    what.add_argument(
        "--curves",
        metavar="METRIC",
        nargs="?",
        const="",
        help="draw a dev metric by training step, from the records (default: the metric of train.select)",
    )
    what.add_argument(
        "--cost",
        metavar="COLUMN",
        help="draw a metric against parameters, flops_per_step, ms or peak_memory, with the Pareto front",
    )
    what.add_argument(
        "--by",
        metavar="NAME",
        help="draw a metric against an attribute of the test items: length, target_length, frequency (in training), or "
        "one of the task",
    )
    what.add_argument("--axes", action="store_true", help="draw the curves that the experiment declares")
    command.add_argument(
        "--metric", metavar="COLUMN", help="of --cost and --by, as in test/exact (default: the table's first)"
    )


def figure(arguments: argparse.Namespace) -> int:
    """Draws the picture that the arguments name, with a map, line or point for each row of the experiment's table."""
    if arguments.metric and not (arguments.cost or arguments.by):
        raise UserError("--metric needs --cost or --by")
    experiment = read_experiment(arguments)
    if arguments.curves is not None:
        return _draw_from_records(arguments, experiment, "curves", _draw_dev_curves)
    if arguments.cost is not None:
        return _draw_from_records(arguments, experiment, "cost", _draw_cost)
    if arguments.by is not None:
        return _draw_from_records(arguments, experiment, f"by-{arguments.by}", _draw_slices)
    if arguments.axes:
        return _draw_from_records(arguments, experiment, "axes", _draw_axes)
    return _draw_maps(arguments, experiment)


def _draw_maps(arguments: argparse.Namespace, experiment: Experiment) -> int:
    """Draws the attention maps of one test item."""
    runs = Path(arguments.runs)
    check_changes(arguments, experiment.runs)
    directories = _first_runs(experiment, runs, committed_file(arguments, experiment))
    if not directories:
        raise UserError(f"no run of {experiment.name} is finished in {runs}; `attn-research sweep` trains them")
    from attn_research.reports.figures import attention_maps
    from attn_research.reports.items import load_item

    items = {label: load_item(directory, arguments.item or 0) for label, directory in directories.items()}
    for path in attention_maps(items, runs / "reports" / experiment.name):
        print(path)
    return 0


def _draw_from_records(
    arguments: argparse.Namespace,
    experiment: Experiment,
    name: str,
    draw: Callable[[argparse.Namespace, ExperimentRecords, Path], Sequence[Path]],
) -> int:
    """Draws a picture from the records that `table` shows, and prints which records it leaves out."""
    from attn_research.reports.notes import list_diverged, list_missing

    loaded = load_records(experiment, committed_file(arguments, experiment), Path(arguments.runs))
    check_changes(arguments, loaded.missing)
    rows, missing, reasons = loaded.rows()
    paths = draw(arguments, loaded, Path(arguments.runs) / "reports" / f"{experiment.name}-{name}")
    for sentence in [*list_diverged(rows), *list_missing(missing), *reasons]:
        print_error(sentence)
    for path in paths:
        print(path)
    return report_diverged(record["status"] for record in loaded.by_config.values())


def _draw_dev_curves(arguments: argparse.Namespace, loaded: ExperimentRecords, path: Path) -> Sequence[Path]:
    from attn_research.reports.curves import draw_dev_curves
    from attn_research.reports.notes import list_first
    from attn_research.reports.panels import without_curve

    rows, _, _ = loaded.rows()
    first = next(record for records in rows.values() for record in records)
    metric = arguments.curves.removeprefix("dev/") or first["config"]["train.select"]
    paths = draw_dev_curves(rows, metric, path)
    if without := without_curve(rows, metric):
        print_error(f"{list_first(without)}: no dev curve of {metric}")
    return paths


def _draw_cost(arguments: argparse.Namespace, loaded: ExperimentRecords, path: Path) -> Sequence[Path]:
    from attn_research.reports.cost import cost_figure, cost_table

    table = cost_table(loaded.experiment.table, arguments.cost, arguments.metric)
    data = loaded._replace(experiment=loaded.experiment._replace(table=table, published={})).table()
    return cost_figure(data, path)


def _draw_slices(arguments: argparse.Namespace, loaded: ExperimentRecords, path: Path) -> Sequence[Path]:
    from attn_research.reports.axes import metric_column, slice_lines
    from attn_research.reports.panels import axis_panel

    name = loaded.metric(arguments.metric)
    lines = slice_lines(name, loaded.finished_rows(), arguments.by)
    header = metric_column(name).header
    return _draw_lines({"": lines}, [axis_panel("", arguments.by.replace("_", " "), header, lines)], arguments.by, path)


def _draw_axes(arguments: argparse.Namespace, loaded: ExperimentRecords, path: Path) -> Sequence[Path]:
    from attn_research.reports.axes import metric_column
    from attn_research.reports.panels import axis_panel

    curves, table = loaded.experiment.curves, loaded.experiment.table
    if not curves:
        raise UserError(f"{arguments.experiment} declares no curves")
    lines = {curve.title or curve.y: curve.lines(loaded.by_config, table.label) for curve in curves}
    panels = [
        axis_panel(title, curve.x_title, metric_column(curve.y).header, lines[title])
        for curve, title in zip(curves, lines, strict=True)
    ]
    return _draw_lines(lines, panels, "x", path)


def _draw_lines(lines: "Mapping[str, Lines]", panels: "Sequence[Panel]", x_name: str, path: Path) -> Sequence[Path]:
    """Draws panels and writes their points as CSV."""
    from attn_research.reports.axes import to_csv
    from attn_research.reports.curves import draw_lines
    from attn_research.reports.panels import AXIS_CAPTION

    paths = draw_lines(panels, path, AXIS_CAPTION)
    numbers = path.with_name(f"{path.name}.csv")
    storage.write(numbers, to_csv(lines, x_name))
    return [*paths, numbers]


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
