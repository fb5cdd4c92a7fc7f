"""The experiment that a command line names: its arguments, its changes, and the choices of its tuning."""

import argparse
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from attn_research.commands.arguments import CHANGES, Parser, add_runs
from attn_research.config import Config, parse_changes, parse_grid
from attn_research.errors import UserError
from attn_research.sweeps.expand import Experiment, load_experiment
from attn_research.sweeps.matching import QUANTITIES, Match
from attn_research.sweeps.tuning import Tune, Tuning, trials_by_row, tune_rows

log = logging.getLogger(__name__)
RecordsByConfig = Mapping[Config, Mapping[str, Any]]


def add_experiment(command: Parser) -> None:
    """Adds `EXPERIMENT`, `key=value`, `--add`, `--seeds`, `--tune`, `--no-tune` and `--runs`."""
    command.add_argument("experiment", metavar="EXPERIMENT", help="a file in experiments/")
    command.add_argument("changes", metavar="key=value", nargs="*", help=f"in every run, {CHANGES}")
    command.add_argument(
        "--add",
        metavar="key=value",
        action="append",
        default=[],
        help="add rows: every run once more with this field set, as in --add model.attention.score=my_scores.py:cosine",
    )
    command.add_argument("--seeds", metavar="N", type=int, help="seeds 0 to N-1 for every row")
    tuning = command.add_mutually_exclusive_group()
    tuning.add_argument(
        "--tune",
        metavar="key=a,b,c",
        action="append",
        default=[],
        help="train every row with each of these values and one more seed, and take each row's best value on dev",
    )
    tuning.add_argument("--no-tune", action="store_true", help="take the values of the configs, without tuning")
    command.add_argument(
        "--match", choices=tuple(QUANTITIES), help="solve every row's hidden sizes so that all rows have equally many"
    )
    add_runs(command)


def read_experiment(arguments: argparse.Namespace) -> Experiment:
    """Returns the experiment of a command line with its changes.

    Raises:
      UserError: the experiment, a change, the seeds or the tuning are not valid.
    """
    if arguments.seeds is not None and arguments.seeds < 1:
        raise UserError(f"--seeds is {arguments.seeds}, but must be at least 1")
    changes, additions = parse_changes(arguments.changes), [parse_changes([change]) for change in arguments.add]
    if arguments.seeds is not None and "seed" in changes:
        raise UserError("seed=... and --seeds exclude each other")
    tune: Any = None if arguments.no_tune else "file"
    if arguments.tune:
        tune = Tune(dict(map(parse_grid, arguments.tune)))
    match: Any = Match(arguments.match) if arguments.match else "file"
    return load_experiment(arguments.experiment, changes, additions, arguments.seeds, tune, match)


def is_changed(arguments: argparse.Namespace) -> bool:
    """Whether the command line changes the experiment."""
    changes = (arguments.changes, arguments.add, arguments.tune, arguments.no_tune, arguments.match)
    return any(changes) or arguments.seeds is not None


def check_changes(arguments: argparse.Namespace, configs: Iterable[Config]) -> None:
    """Checks the configs, which have no record, if the command line changes the experiment.

    Raises:
      UserError: a change makes an invalid config.
    """
    if is_changed(arguments):
        from attn_research.training.check import check_all

        check_all(configs, files=False)


def committed_file(arguments: argparse.Namespace, experiment: Experiment) -> Path:
    """Returns the file of the experiment's committed records."""
    return results_file(arguments.experiment)


def results_file(experiment: str | Path) -> Path:
    """Returns the file of the committed records of the experiment in a file."""
    path = Path(experiment)
    return path.parent / "results" / f"{path.stem}.jsonl"


def trials_file(committed: Path) -> Path:
    """Returns the file of the committed tuning trials beside that of the committed records."""
    return committed.with_name(f"{committed.stem}.trials.jsonl")


def read_tuning(experiment: Experiment, *sources: RecordsByConfig) -> Tuning | None:
    """Returns the trials and choices of an experiment; None without tuning.

    Records of other code or other data than those of most trials play no role.

    Args:
      sources: records by config; those of the first source come first.
    """
    from attn_research.reports.selection import select_current_code, select_same_data
    from attn_research.runs.identity import join_distinct

    if experiment.tune is None:
        return None
    trials = trials_by_row(experiment.tune, experiment.sizes)
    configs = [trial.config for of_row in trials.values() for trial in of_row]
    selected, edited = select_current_code(configs, *sources)
    selected, other_data = select_same_data(selected)
    if left_out := [*edited.values(), *other_data.values()]:
        reasons = join_distinct(left_out)
        log.warning("%d trials are left out: %s; sweep --retune --fresh trains them here", len(left_out), reasons)
    return tune_rows(experiment.tune, experiment.sizes, selected)


def executed_runs(experiment: Experiment, tuning: Tuning | None) -> dict[Config, Config]:
    """Returns the config that is trained for each run: with the chosen setting of its row, if that is known."""
    return dict(experiment.sizes) if tuning is None else tuning.executed(experiment.sizes)
