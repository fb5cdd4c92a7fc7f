"""`attn-research sweep`: the runs of an experiment that are not done yet."""

import argparse
import functools
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attn_research.commands.arguments import STATUSES, add_command, add_fresh, add_wandb
from attn_research.commands.console import diverged, format_outcome, print_error, report_diverged
from attn_research.commands.experiment import add_experiment, read_experiment
from attn_research.config import Config, digest
from attn_research.errors import UserError
from attn_research.runs.environment import worker_settings
from attn_research.sweeps import local
from attn_research.sweeps.execute import lock_run
from attn_research.sweeps.expand import Experiment, labels
from attn_research.variants import check_names

if TYPE_CHECKING:
    from attn_research.training.run_status import RunStatus

EXAMPLES = """\
experiments/score_functions.py
experiments/score_functions.py --list
experiments/score_functions.py train.steps=3000 --jobs 1
experiments/score_functions.py --add model.attention.score=my_scores.py:cosine"""


def add_parser(commands: Any) -> None:
    """Adds the command to the parser."""
    command = add_command(
        commands,
        "sweep",
        sweep,
        "train the runs of an experiment that are not done yet, several at a time",
        EXAMPLES,
        notes=STATUSES.format(success="every run of the experiment is finished"),
        resume="the same command resumes the missing runs from their last checkpoints",
    )
    add_experiment(command)
    command.add_argument("--jobs", metavar="N", type=int, help="runs at a time, one core each (default: all cores)")
    command.add_argument("--list", action="store_true", help="list done and missing runs, and train nothing")
    add_fresh(command, "runs whose data, code, versions or settings have changed")
    add_wandb(command)


def sweep(arguments: argparse.Namespace) -> int:
    """Trains the missing runs; returns 1 unless every run of the experiment is finished afterwards."""
    experiment, runs = read_experiment(arguments), Path(arguments.runs)
    jobs = len(local.cores()) if arguments.jobs is None else arguments.jobs
    if jobs < 1:
        raise UserError(f"--jobs is {jobs}, but must be at least 1")
    from attn_research.training.check import check_all
    from attn_research.training.run_status import reject_changed, warn_differences

    for config in experiment.runs:
        check_names(config)
    names, statuses = labels(experiment.runs), _read_statuses(experiment, runs)
    if arguments.list:
        return _list(names, statuses)
    again = [status for status in statuses.values() if arguments.fresh and status.differences.all]
    # Errors of the user are raised here, once, and not in every worker.
    check_all(config for config, status in statuses.items() if not status.finished or status in again)
    if arguments.fresh:
        statuses = _set_aside_changed(statuses)
    reject_changed(statuses.values())
    warn_differences(status for status in statuses.values() if status.finished)
    missing = [config for config, status in statuses.items() if not status.finished]
    summary = f"{experiment.name}: {len(experiment.runs)} runs, {len(experiment.runs) - len(missing)} done"
    if not missing:
        print(summary)
        return _report_unfinished(experiment.runs, {}, runs)
    _check_writable(runs)
    jobs = min(jobs, len(missing))
    print(f"{summary}, {len(missing)} to train, {jobs} at a time", flush=True)
    pool = local.pool(missing, runs, jobs, local.TARGET, arguments.wandb, experiment.name, arguments.stop)
    return _report_unfinished(experiment.runs, _run_pool(pool, names, missing, runs), runs)


def _check_writable(runs: Path) -> None:
    """Raises a UserError if files cannot be written into the directory of the runs."""
    try:
        runs.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=runs) as file:
            file.write(bytes(4096))
    except OSError as error:
        raise UserError(f"no run can be written into {runs}: {error.strerror}") from error


def _read_statuses(experiment: Experiment, runs: Path) -> "dict[Config, RunStatus]":
    """Returns the status of each run, compared with the run that a worker would train now."""
    from attn_research.training.run_status import check_run

    settings = functools.cache(lambda: worker_settings(pinned=local.cores()[0] is not None))
    return {config: check_run(runs / digest(config), config, settings) for config in experiment.runs}


def _list(names: Mapping[Config, str], statuses: "Mapping[Config, RunStatus]") -> int:
    """Prints a line for each run: done, missing, diverged, or different from the run that would be trained now."""
    from attn_research.runs import records

    finished = {
        config: record
        for config, status in statuses.items()
        if status.finished and (record := records.read(status.directory)) is not None
    }
    for config, name in names.items():
        status, record = statuses[config], finished.get(config)
        outcome = "diverged" if record is not None and diverged(record) else "done"
        word = "differs" if status.conflicts else "missing" if record is None else outcome
        print(f"{word:8} {status.directory}  {name}")
    return report_diverged(finished.values())


def _set_aside_changed(statuses: "Mapping[Config, RunStatus]") -> "dict[Config, RunStatus]":
    """Renames the directories of runs that differ from those that would be trained now; returns all statuses."""
    from attn_research.training.run_status import RunStatus, set_aside

    fresh = dict(statuses)
    for config, status in statuses.items():
        if status.differences.all:
            with lock_run(status.directory), set_aside(status.directory):
                fresh[config] = RunStatus.new(status.directory)
    return fresh


def _run_pool(
    pool: AbstractContextManager[Iterator[local.Event]], names: Mapping[Config, str], missing: list[Config], runs: Path
) -> Counter[str]:
    """Displays the progress of the missing runs; returns how many runs ended with each kind of event."""
    from attn_research.sweeps.progress import BarDisplay, LineDisplay

    ends: Counter[str] = Counter()
    display = BarDisplay if sys.stdout.isatty() else LineDisplay
    warnings: set[str] = set()
    with pool as events, display(names, missing, lambda event: _format_end(event, runs)) as progress:
        for event in events:
            if event.kind != "warning":
                progress.handle(event)
                ends[event.kind] += 1
            elif event.error not in warnings:  # most workers give the same warnings
                warnings.add(event.error)
                print_error(event.error)
    return ends


def _format_end(event: local.Event, runs: Path) -> str:
    """Returns how a run ended."""
    from attn_research.runs import records

    directory = runs / digest(event.config)
    if event.kind == "busy":
        return "left out: another process is training it"
    if event.kind == "failed":
        return f"failed: {event.error} ({event.file or 'its traceback cannot be written'})"
    record = records.read(directory)
    return format_outcome(record) if record else f"ended without a record in {directory}"


def _report_unfinished(configs: Sequence[Config], ends: Mapping[str, int], runs: Path) -> int:
    """Prints how many runs of the experiment are not finished, and why; returns 1 if there are any."""
    from attn_research.runs import records

    finished = [config for config in configs if records.is_done(runs / digest(config), config)]
    failed, busy = ends.get("failed", 0), ends.get("busy", 0)
    if failed:
        print_error(f"{failed} of {len(configs)} runs failed; the same command retries them")
    if busy:
        print_error(f"{busy} of {len(configs)} runs left out: another process is training them")
    without = len(configs) - len(finished) - failed - busy
    if without > 0:
        print_error(f"{without} of {len(configs)} runs have no record; the same command trains them")
    read = [records.read(runs / digest(config)) for config in finished]
    diverged_status = report_diverged([record for record in read if record is not None])
    return diverged_status or (1 if len(finished) < len(configs) or failed else 0)
