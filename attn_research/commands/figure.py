"""`attn-research figure`: the attention of every variant on one test item, or quality against cost."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attn_research.commands.arguments import add_command
from attn_research.commands.console import report_diverged
from attn_research.commands.experiment import add_experiment, check_changes, read_experiment
from attn_research.config import Config
from attn_research.errors import UserError
from attn_research.sweeps.expand import Experiment

if TYPE_CHECKING:
    from attn_research.reports.render import TableData

Record = Mapping[str, Any]
EXAMPLES = """\
experiments/score_functions.py
experiments/score_functions.py --item 3
experiments/score_functions.py --cost parameters --metric test/exact"""


def add_parser(commands: Any) -> None:
    """Adds the command to the parser."""
    command = add_command(
        commands,
        "figure",
        figure,
        "draw the attention weights of every variant on one test item, or with --cost quality against cost",
        EXAMPLES,
    )
    add_experiment(command)
    command.add_argument("--item", metavar="N", type=int, help="number of the test item (default: 0)")
    command.add_argument(
        "--cost",
        metavar="COLUMN",
        help="draw every row's quality against parameters, flops_per_step, ms or peak_memory, with the Pareto front",
    )
    command.add_argument(
        "--metric", metavar="COLUMN", help="with --cost: the quality, as in test/exact (default: the table's first)"
    )


def figure(arguments: argparse.Namespace) -> int:
    """Draws the attention maps of one test item, a map for each row of the table, or with --cost the cost figure."""
    if arguments.cost is not None:
        if arguments.item is not None:
            raise UserError("--item chooses an attention map, so it has no effect with --cost")
        return _draw_cost(arguments)
    if arguments.metric is not None:
        raise UserError("--metric needs --cost, as in --cost parameters --metric test/exact")
    return _draw_maps(arguments)


def _draw_maps(arguments: argparse.Namespace) -> int:
    experiment, runs = read_experiment(arguments), Path(arguments.runs)
    check_changes(arguments, experiment.runs)
    directories = _first_runs(experiment, runs)
    if not directories:
        raise UserError(f"no run of {experiment.name} is finished in {runs}; `attn-research sweep` trains them")
    from attn_research.reports.figures import attention_maps
    from attn_research.reports.items import load_item

    items = {label: load_item(directory, arguments.item or 0) for label, directory in directories.items()}
    for path in attention_maps(items, runs / "reports" / experiment.name):
        print(path)
    return 0


def _draw_cost(arguments: argparse.Namespace) -> int:
    """Draws quality against cost, from the records that `table` uses."""
    from attn_research.reports.cost import cost_figure, cost_table

    experiment, runs = read_experiment(arguments), Path(arguments.runs)
    table = cost_table(experiment.table, arguments.cost, arguments.metric)
    data, records = _read_table(experiment._replace(table=table, published={}), arguments)
    for path in cost_figure(data, runs / "reports" / f"{experiment.name}-cost"):
        print(path)
    return report_diverged(records)


def _read_table(experiment: Experiment, arguments: argparse.Namespace) -> "tuple[TableData, list[Record]]":
    """Returns the table of an experiment, and its records."""
    from attn_research.commands.table import _build, _load_records

    committed = Path(arguments.experiment).parent / "results" / f"{experiment.name}.jsonl"
    by_config, left_out = _load_records(experiment, Path(arguments.runs), committed)
    check_changes(arguments, (config for config in experiment.runs if config not in by_config))
    records = [by_config[config] for config in experiment.runs if config in by_config]
    return _build(experiment, by_config, left_out), records


def _first_runs(experiment: Experiment, runs: Path) -> dict[str, Path]:
    """Returns the directory of the first finished run of every row.

    Raises:
      UserError: the code of a run has changed since, or the runs do not share their data.
    """
    from attn_research.reports.selection import select_current_code, select_same_data
    from attn_research.runs import records
    from attn_research.runs.identity import warn_unrecorded
    from attn_research.training.run_status import FRESH_HINT

    by_config = records.by_config(records.load_runs(runs))
    first: dict[str, Config] = {}
    for config in experiment.runs:
        if config in by_config and by_config[config]["status"] == "finished":
            first.setdefault(experiment.table.label(config), config)
    chosen = {config: by_config[config] for config in first.values()}
    _, edited = select_current_code(chosen, chosen)
    _, others = select_same_data(chosen)
    for config, reason in (edited | others).items():
        raise UserError(f"{runs / chosen[config]['id']} cannot be drawn beside the others: {reason}; {FRESH_HINT}")
    warn_unrecorded(list(chosen.values()), experiment.name)
    return {label: runs / chosen[config]["id"] for label, config in first.items()}
