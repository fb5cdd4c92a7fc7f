"""`attn-research sweep`: every run of an experiment that is not done yet."""

import argparse
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from attn_research.commands.words import complain, outcome
from attn_research.config import Config, digest, parse_changes
from attn_research.errors import UserError
from attn_research.runs import records
from attn_research.sweeps import failure, local
from attn_research.sweeps.expand import Experiment, labels, load_experiment
from attn_research.sweeps.progress import Bars, Lines


def read_experiment(arguments: argparse.Namespace) -> Experiment:
    """The experiment of a command line, with its changes and additions."""
    added = [parse_changes([change]) for change in arguments.add]
    return load_experiment(arguments.experiment, parse_changes(arguments.changes), added)


def sweep(arguments: argparse.Namespace) -> int:
    """Makes what is missing; 1 if a run failed."""
    experiment, runs = read_experiment(arguments), Path(arguments.runs)
    jobs = len(local.cores()) if arguments.jobs is None else arguments.jobs
    if jobs < 1:
        raise UserError(f"--jobs is {jobs}, but must be at least 1")
    for config in experiment.runs:
        records.user_code(config)  # a file that is not there is told now, not by every worker
    names = labels(experiment.runs)
    missing = [config for config in experiment.runs if not records.is_done(runs / digest(config), config)]
    if arguments.list:
        return _list(names, missing, runs)
    done = f"{experiment.name}: {len(experiment.runs)} runs, {len(experiment.runs) - len(missing)} done"
    if not missing:
        print(done)
        return 0
    jobs = min(jobs, len(missing))
    print(f"{done}, {len(missing)} to make, {jobs} at a time", flush=True)
    pool = local.pool(missing, runs, jobs, local.TARGET, arguments.wandb, experiment.name)
    return _make(pool, names, missing, runs)


def _list(names: Mapping[Config, str], missing: list[Config], runs: Path) -> int:
    for config, name in names.items():
        print(f"{'missing' if config in missing else 'done   '}  {runs / digest(config)}  {name}")
    return 0


def _make(
    pool: AbstractContextManager[Iterator[local.Event]], names: Mapping[Config, str], missing: list[Config], runs: Path
) -> int:
    def told(event: local.Event) -> str:
        directory = runs / digest(event.config)
        if event.kind == "busy":
            return "left out, another process is making it"
        if event.kind == "failed":
            return f"failed: {event.error} ({directory / failure.FILE})"
        return outcome(records.read(directory))

    failed = 0
    display = Bars if sys.stdout.isatty() else Lines
    with pool as events, display(names, missing, told) as shown:
        for event in events:
            shown.show(event)
            failed += event.kind == "failed"
    if failed:
        complain(f"{failed} of {len(missing)} runs failed; the same command tries again")
    return 1 if failed else 0
