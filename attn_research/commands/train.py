"""`attn-research train`: one run."""

import argparse
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

from attn_research.commands.arguments import CHANGES, STATUSES, add_command, add_fresh, add_runs, add_wandb
from attn_research.commands.console import diverged, format_metrics, format_outcome, print_error
from attn_research.commands.fields import format_overview
from attn_research.config import Config, digest, load, override, parse_changes
from attn_research.errors import UserError, describe
from attn_research.runs.environment import settings
from attn_research.sweeps import local
from attn_research.sweeps.execute import execute_run, lock_run, write_failure, write_traceback
from attn_research.sweeps.expand import locate_errors
from attn_research.variants import canonical

EXAMPLES = """\
configs/dates.py
configs/dates.py model.attention.score='concat(units=64)' seed=2
configs/dates.py preset:opennmt_mlp seed=2
configs/dates.py --wandb offline"""
FIELDS = """
config fields, with their defaults (details: attn-research config FIELD):
{}
"""


def add_parser(commands: Any) -> None:
    """Adds the command to the parser."""
    command = add_command(
        commands,
        "train",
        train,
        "train one config, or resume its run, and print its metrics",
        EXAMPLES,
        notes=STATUSES.format(success="the run is finished"),
        resume="the same command resumes from the last checkpoint",
        trains=True,
    )
    command.add_argument("config", metavar="CONFIG", help="a file in configs/")
    command.add_argument("changes", metavar="key=value", nargs="*", help=CHANGES)
    add_runs(command)
    add_fresh(command, "the run")
    add_wandb(command)
    command.details = lambda: FIELDS.format(format_overview())


def train(arguments: argparse.Namespace) -> int:
    """Trains a config, or prints the metrics of its finished run; returns 1 if the run failed or diverged."""
    with locate_errors(arguments.config):
        config = load(arguments.config)
    config = canonical(override(config, parse_changes(arguments.changes)), import_user_code=True)
    directory = Path(arguments.runs) / digest(config)
    return _train(config, directory, arguments)


def _train(config: Config, directory: Path, arguments: argparse.Namespace) -> int:
    from attn_research.runs import records
    from attn_research.training.check import check
    from attn_research.training.run_status import check_run, reject_changed, set_aside, warn_differences

    if arguments.fresh or not records.is_done(directory, config):
        check(config)  # raises errors of the user before anything is written
    with lock_run(directory), set_aside(directory) if arguments.fresh else nullcontext():
        status = check_run(directory, config, settings)
        reject_changed([status])
        if status.finished:
            warn_differences([status])
        elif not _run_or_report(config, directory, arguments.wandb, arguments.stop):
            return 1
    record = cast(records.Record, records.read(directory))  # the run is finished
    if status.finished:
        print(f"This run {'diverged' if diverged(record) else 'is finished'} already, on {record['date']}.")
    _print_record(record, directory)
    return 1 if diverged(record) else 0


def _run_or_report(config: Config, directory: Path, wandb: str, stop: Callable[[], bool]) -> bool:
    """Returns whether the run finished. Prints any exception but a UserError, which it raises again."""
    try:
        _run(config, directory, wandb, stop)
    except UserError:
        raise
    except Exception as error:
        file = write_failure(directory, traceback.format_exc()) or write_traceback()
        print_error(f"{describe(error)} (the traceback is in {file})")
        return False
    return True


def _run(config: Config, directory: Path, wandb: str, stop: Callable[[], bool]) -> None:
    """Trains, with a progress bar on a terminal and lines of metrics elsewhere."""
    if not sys.stdout.isatty():
        execute_run(local.TARGET, config, directory, _print_metrics, wandb, stop=stop)
        return
    from attn_research.sweeps.progress import training_progress, update_bar

    with training_progress() as progress:
        bar = progress.add_task(directory.name, total=config.train.steps, note="starting")
        execute_run(
            local.TARGET, config, directory, lambda numbers: update_bar(progress, bar, numbers), wandb, stop=stop
        )


def _print_metrics(numbers: Mapping[str, Any]) -> None:
    dev = {name.removeprefix("dev/"): value for name, value in numbers.items() if name.startswith("dev/")}
    text = f"dev {format_metrics(dev)}" if dev else format_metrics(numbers)
    print(f"step {numbers['step']}/{numbers['steps']}: {text}", flush=True)


def _print_record(record: Mapping[str, Any], directory: Path) -> None:
    if diverged(record):
        print_error(f"the run {format_outcome(record)}")
    for name, split in record["splits"].items():
        print(f"{name}: {format_metrics(split['metrics'])}")
    print(f"run: {directory}")
