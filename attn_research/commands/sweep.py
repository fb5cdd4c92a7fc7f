"""`attn-research sweep`: every run of an experiment that is not done yet."""

import argparse
import functools
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from attn_research.commands.words import complain, diverged, outcome, tell_diverged
from attn_research.config import Config, digest, parse_changes
from attn_research.errors import UserError
from attn_research.runs import records
from attn_research.runs.settings import worker_settings
from attn_research.sweeps import local
from attn_research.sweeps.expand import Experiment, labels, load_experiment
from attn_research.sweeps.lock import hold
from attn_research.sweeps.progress import Bars, Lines
from attn_research.training.identify import Standing, refuse, set_aside, stand, tell


def read_experiment(arguments: argparse.Namespace) -> Experiment:
    """The experiment of a command line, with its changes and additions."""
    added = [parse_changes([change]) for change in arguments.add]
    return load_experiment(arguments.experiment, parse_changes(arguments.changes), added)


def check_asked_for(arguments: argparse.Namespace, without: Iterable[Config]) -> None:
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
    standings = compare(experiment, runs)
    if arguments.list:
        return _list(names, standings)
    # What is wrong is told now, not by every worker.
    again = [standing for standing in standings.values() if arguments.fresh and standing.differences.all]
    check_all(config for config, standing in standings.items() if not standing.done or standing in again)
    if arguments.fresh:
        standings = _make_room(standings)
    refuse(standings.values())
    tell(standing for standing in standings.values() if standing.done)
    missing = [config for config, standing in standings.items() if not standing.done]
    done = f"{experiment.name}: {len(experiment.runs)} runs, {len(experiment.runs) - len(missing)} done"
    if not missing:
        print(done)
        return _conclude(experiment.runs, {}, runs)
    _check_folder(runs)
    jobs = min(jobs, len(missing))
    print(f"{done}, {len(missing)} to make, {jobs} at a time", flush=True)
    pool = local.pool(missing, runs, jobs, local.TARGET, arguments.wandb, experiment.name, arguments.stop)
    return _conclude(experiment.runs, _make(pool, names, missing, runs), runs)


def _check_folder(runs: Path) -> None:
    """A UserError where nothing can be written into the folder of the runs."""
    try:
        runs.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=runs) as file:
            file.write(bytes(4096))
    except OSError as error:
        raise UserError(f"no run can be written into {runs}: {error.strerror}") from error


def compare(experiment: Experiment, runs: Path) -> dict[Config, Standing]:
    """How the directory of each run stands to what a worker would make now."""
    settings = functools.cache(lambda: worker_settings(pinned=local.cores()[0] is not None))
    return {config: stand(runs / digest(config), config, settings) for config in experiment.runs}


def _list(names: Mapping[Config, str], standings: Mapping[Config, Standing]) -> int:
    """Prints how each run stands: done, missing, or made with something else than there is now."""
    for config, name in names.items():
        standing = standings[config]
        record = records.read(standing.directory) if standing.done else None
        word = "differs" if standing.refusal else "missing" if record is None else "done"
        word = "diverged" if word == "done" and diverged(record) else word
        print(f"{word:8} {standing.directory}  {name}")
    return tell_diverged([records.read(standing.directory) for standing in standings.values() if standing.done])


def _make_room(standings: Mapping[Config, Standing]) -> dict[Config, Standing]:
    """Sets aside the runs that were made with anything else than there is now."""
    made = dict(standings)
    for config, standing in standings.items():
        if standing.differences.all:
            with hold(standing.directory), set_aside(standing.directory):
                made[config] = Standing.new(standing.directory)
    return made


def _make(
    pool: AbstractContextManager[Iterator[local.Event]], names: Mapping[Config, str], missing: list[Config], runs: Path
) -> Counter[str]:
    """Shows how the missing runs are made; the kinds of events with which they ended, counted."""

    def told(event: local.Event) -> str:
        directory = runs / digest(event.config)
        if event.kind == "busy":
            return "left out, another process is making it"
        if event.kind == "failed":
            return f"failed: {event.error} ({event.file or 'its traceback cannot be written'})"
        record = records.read(directory)
        return outcome(record) if record else f"ended without a record in {directory}"

    ends: Counter[str] = Counter()
    display = Bars if sys.stdout.isatty() else Lines
    warnings: set[str] = set()
    with pool as events, display(names, missing, told) as shown:
        for event in events:
            if event.kind != "warning":
                shown.show(event)
                ends[event.kind] += 1
            elif event.error not in warnings:  # the same of every run is said once
                warnings.add(event.error)
                complain(event.error)
    return ends


def _conclude(configs: Sequence[Config], ends: Mapping[str, int], runs: Path) -> int:
    """Complains of every run of the experiment that is not finished; 1 if there is one."""
    done = [config for config in configs if records.is_done(runs / digest(config), config)]
    failed, busy = ends.get("failed", 0), ends.get("busy", 0)
    if failed:
        complain(f"{failed} of {len(configs)} runs failed; the same command tries again")
    if busy:
        complain(f"{busy} of {len(configs)} runs left out, since another process is making them")
    without = len(configs) - len(done) - failed - busy
    if without > 0:
        complain(f"{without} of {len(configs)} runs have no record; the same command makes them")
    return tell_diverged(_read(done, runs)) or (1 if len(done) < len(configs) or failed else 0)


def _read(done: Iterable[Config], runs: Path) -> list[records.Record]:
    return [records.read(runs / digest(config)) for config in done]
