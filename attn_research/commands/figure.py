"""`attn-research figure`: the attention of every variant of an experiment on one test item."""

import argparse
from pathlib import Path
from typing import Any

from attn_research.commands.arguments import add_command
from attn_research.commands.experiment import (
    add_experiment,
    check_changes,
    committed_file,
    executed_runs,
    read_experiment,
    read_tuning,
    trials_file,
)
from attn_research.config import Config
from attn_research.errors import UserError
from attn_research.sweeps.expand import Experiment

EXAMPLES = """\
experiments/score_functions.py
experiments/score_functions.py --item 3"""


def add_parser(commands: Any) -> None:
    """Adds the command to the parser."""
    command = add_command(
        commands, "figure", figure, "draw the attention weights of every variant on one test item", EXAMPLES
    )
    add_experiment(command)
    command.add_argument("--item", metavar="N", type=int, default=0, help="number of the test item (default: 0)")


def figure(arguments: argparse.Namespace) -> int:
    """Draws the attention maps of one test item, a map for each row of the experiment's table."""
    experiment, runs = read_experiment(arguments), Path(arguments.runs)
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
