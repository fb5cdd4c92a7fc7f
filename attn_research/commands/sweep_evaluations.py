"""The evaluations of an experiment that `attn-research sweep` makes after its runs."""

import argparse
from collections.abc import Mapping
from pathlib import Path

from attn_research.commands.console import format_metrics, print_error
from attn_research.commands.experiment_records import plan_evaluations
from attn_research.config import Config, digest
from attn_research.errors import UserError
from attn_research.runs.signals import StopRequested
from attn_research.sweeps.evaluations import Job
from attn_research.sweeps.expand import Experiment


def sweep_evaluations(arguments: argparse.Namespace, experiment: Experiment, executed: Mapping[Config, Config]) -> int:
    """Makes the missing evaluations of the finished runs, one after another, or lists all with --list.

    Args:
      executed: the config that is trained for each run of the experiment.

    Returns:
      1 if an evaluation is missing afterwards, else 0; with --list always 0.
    """
    if not experiment.evaluations:
        return 0
    from attn_research.runs import records

    runs = Path(arguments.runs)
    finished = {config: records.read(runs / digest(trained)) for config, trained in executed.items()}
    jobs, waiting = plan_evaluations(experiment, {c: record for c, record in finished.items() if record is not None})
    missing = [job for job in jobs if job.find(runs) is None]
    if arguments.list:
        for job in jobs:
            print(f"{'missing' if job in missing else 'done':8} {_directories(job, runs)[0]}  evaluation: {job.name}")
        return 0
    if jobs:
        print(f"{experiment.name}: {len(jobs)} evaluations, {len(jobs) - len(missing)} done", flush=True)
    failed = sum(not _evaluate(arguments, job, runs, number, len(missing)) for number, job in enumerate(missing, 1))
    if failed:
        print_error(f"{failed} of {len(jobs)} evaluations failed; the same command retries them")
    if waits := waiting.total():
        print_error(f"{waits} evaluations left out: their runs are not finished")
    return 1 if failed or waits else 0


def _evaluate(arguments: argparse.Namespace, job: Job, runs: Path, number: int, total: int) -> bool:
    """Makes an evaluation and prints a line; returns whether it succeeded."""
    from attn_research import evaluator

    def check_stop(done: int, items: int) -> None:
        if arguments.stop():
            raise StopRequested

    directories = _directories(job, runs)
    title = f"[{number}/{total}] {job.name}, {directories[0]}"
    try:  # the runs were made with the current code, which the sweep has compared
        _, record = evaluator.evaluate(directories, job.how, trust=True, report=check_stop)
    except UserError as error:
        print_error(f"{title}: {error}")
        return False
    (split,) = record["splits"].values()
    print(f"{title}: {format_metrics(split['metrics'])}", flush=True)
    return True


def _directories(job: Job, runs: Path) -> list[Path]:
    return [runs / record["id"] for record in job.records]
