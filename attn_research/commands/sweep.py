"""`attn-research sweep`: every run of an experiment that is not done yet."""

import argparse
import functools
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from attn_research.commands.console import diverged, format_outcome, print_error, report_diverged
from attn_research.config import Config, digest, parse_changes
from attn_research.errors import UserError
from attn_research.runs import records
from attn_research.runs.environment import worker_settings
from attn_research.sweeps import local
from attn_research.sweeps.execute import lock_run
from attn_research.sweeps.expand import Experiment, labels, load_experiment
from attn_research.sweeps.progress import BarDisplay, LineDisplay
from attn_research.training.run_status import RunStatus, check_run, reject_changed, set_aside, warn_differences


def read_experiment(arguments: argparse.Namespace) -> Experiment:
    """The experiment of a command line, with its changes and additions."""
    additions = [parse_changes([change]) for change in arguments.add]
    return load_experiment(arguments.experiment, parse_changes(arguments.changes), additions)


def check_requested(arguments: argparse.Namespace, without: Iterable[Config]) -> None:
    """Refuses what is wrong in key=value and --add, in the configs that have no record."""
    if arguments.changes or arguments.add:
        from attn_research.training.check import check_all

        check_all(without, files=False)


def sweep(arguments: argparse.Namespace) -> int:
    """Makes what is missing; 1 unless every run of the experiment is finished afterwards."""
    experiment, runs = read_experiment(arguments), Path(arguments.runs)
    jobs = len(local.cores()) if arguments.jobs is None else arguments.jobs
    if jobs < 1:
        raise UserError(f"--jobs is {jobs}, but must be at least 1")
    from attn_research.training.check import check_all, check_names

    for config in experiment.runs:
        check_names(config)
    names = labels(experiment.runs)
    statuses = compare(experiment, runs)
    if arguments.list:
        return _list(names, statuses)
    # What is wrong is told now, not by every worker.
    again = [status for status in statuses.values() if arguments.fresh and status.differences.all]
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
    _check_folder(runs)
    jobs = min(jobs, len(missing))
    print(f"{summary}, {len(missing)} to make, {jobs} at a time", flush=True)
    pool = local.pool(missing, runs, jobs, local.TARGET, arguments.wandb, experiment.name, arguments.stop)
    return _report_unfinished(experiment.runs, _run_pool(pool, names, missing, runs), runs)


def _check_folder(runs: Path) -> None:
    """A UserError where nothing can be written into the folder of the runs."""
    try:
        runs.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=runs) as file:
            file.write(bytes(4096))
    except OSError as error:
        raise UserError(f"no run can be written into {runs}: {error.strerror}") from error


def compare(experiment: Experiment, runs: Path) -> dict[Config, RunStatus]:
    """How the directory of each run stands to what a worker would make now."""
    settings = functools.cache(lambda: worker_settings(pinned=local.cores()[0] is not None))
    return {config: check_run(runs / digest(config), config, settings) for config in experiment.runs}


def _list(names: Mapping[Config, str], statuses: Mapping[Config, RunStatus]) -> int:
    """Prints how each run stands: done, missing, or made with something else than there is now."""
    for config, name in names.items():
        status = statuses[config]
        record = records.read(status.directory) if status.finished else None
        word = "differs" if status.conflicts else "missing" if record is None else "done"
        word = "diverged" if word == "done" and diverged(record) else word
        print(f"{word:8} {status.directory}  {name}")
    return report_diverged([records.read(status.directory) for status in statuses.values() if status.finished])


def _set_aside_changed(statuses: Mapping[Config, RunStatus]) -> dict[Config, RunStatus]:
    """Sets aside the runs that were made with anything else than there is now."""
    fresh = dict(statuses)
    for config, status in statuses.items():
        if status.differences.all:
            with lock_run(status.directory), set_aside(status.directory):
                fresh[config] = RunStatus.new(status.directory)
    return fresh


def _run_pool(
    pool: AbstractContextManager[Iterator[local.Event]], names: Mapping[Config, str], missing: list[Config], runs: Path
) -> Counter[str]:
    """Shows how the missing runs are made; the kinds of events with which they ended, counted."""

    def describe(event: local.Event) -> str:
        directory = runs / digest(event.config)
        if event.kind == "busy":
            return "left out, another process is making it"
        if event.kind == "failed":
            return f"failed: {event.error} ({event.file or 'its traceback cannot be written'})"
        record = records.read(directory)
        return format_outcome(record) if record else f"ended without a record in {directory}"

    ends: Counter[str] = Counter()
    display = BarDisplay if sys.stdout.isatty() else LineDisplay
    warnings: set[str] = set()
    with pool as events, display(names, missing, describe) as progress:
        for event in events:
            if event.kind != "warning":
                progress.handle(event)
                ends[event.kind] += 1
            elif event.error not in warnings:  # the same of every run is said once
                warnings.add(event.error)
                print_error(event.error)
    return ends


def _report_unfinished(configs: Sequence[Config], ends: Mapping[str, int], runs: Path) -> int:
    """Complains of every run of the experiment that is not finished; 1 if there is one."""
    finished = [config for config in configs if records.is_done(runs / digest(config), config)]
    failed, busy = ends.get("failed", 0), ends.get("busy", 0)
    if failed:
        print_error(f"{failed} of {len(configs)} runs failed; the same command tries again")
    if busy:
        print_error(f"{busy} of {len(configs)} runs left out, since another process is making them")
    without = len(configs) - len(finished) - failed - busy
    if without > 0:
        print_error(f"{without} of {len(configs)} runs have no record; the same command makes them")
    return report_diverged(_read(finished, runs)) or (1 if len(finished) < len(configs) or failed else 0)


def _read(finished: Iterable[Config], runs: Path) -> list[records.Record]:
    return [records.read(runs / digest(config)) for config in finished]
