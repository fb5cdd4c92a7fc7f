"""`attn-research sweep`: the runs of an experiment that are not done yet."""

import argparse
import functools
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from attn_research.commands.arguments import STATUSES, add_command, add_fresh, add_wandb
from attn_research.commands.console import format_outcome, print_error, report_diverged
from attn_research.commands.experiment import (
    RecordsByConfig,
    add_experiment,
    committed_file,
    executed_runs,
    read_experiment,
    read_tuning,
    trials_file,
)
from attn_research.commands.sweep_evaluations import sweep_evaluations
from attn_research.config import Config, digest
from attn_research.errors import UserError
from attn_research.runs.environment import worker_settings
from attn_research.sweeps import local
from attn_research.sweeps.execute import lock_run
from attn_research.sweeps.expand import Experiment, labels, programs_first
from attn_research.sweeps.tuning import Tune, trials_by_row
from attn_research.variants import check_names

if TYPE_CHECKING:
    from attn_research.training.run_status import RunStatus

EXAMPLES = """\
experiments/score_functions.py
experiments/score_functions.py --list
experiments/score_functions.py train.steps=3000 --jobs 1
experiments/score_functions.py --add model.attention.score=my_scores.py:cosine"""

LIST_WORDS = {None: "missing", "finished": "done", "diverged": "diverged"}


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
    command.add_argument(
        "--retune", action="store_true", help="train tuning trials here that results/ beside the experiment has"
    )
    add_fresh(command, "runs whose data, code, versions or settings have changed")
    add_wandb(command)


def sweep(arguments: argparse.Namespace) -> int:
    """Trains the missing trials and runs; returns 1 unless every run of the experiment is finished afterwards."""
    experiment = read_experiment(arguments)
    if arguments.jobs is not None and arguments.jobs < 1:
        raise UserError(f"--jobs is {arguments.jobs}, but must be at least 1")
    check_names(*experiment.runs)
    if experiment.tune is None:
        stage = Stage(experiment.name, list(dict.fromkeys(experiment.sizes.values())))
        status = _list(arguments, stage) if arguments.list else _train(arguments, stage)
        return max(status, sweep_evaluations(arguments, experiment, experiment.sizes))
    return _sweep_tuned(arguments, experiment, experiment.tune)


class Stage(NamedTuple):
    """Runs that are trained together."""

    title: str
    configs: Sequence[Config]
    later: Sequence[Config] = ()  # runs of the next stage, which are checked before the first run of this one
    trials: bool = False  # a trial may diverge: its setting is then not chosen


def _sweep_tuned(arguments: argparse.Namespace, experiment: Experiment, tune: Tune) -> int:
    """Trains the trials of every row, then the runs with the chosen settings."""
    trials = [trial.config for of_row in trials_by_row(tune, experiment.sizes).values() for trial in of_row]
    committed = {} if arguments.retune else _committed_trials(arguments, experiment, trials)
    first = Stage(
        f"{experiment.name}, tuning",
        programs_first(t for t in trials if t not in committed),
        list(experiment.sizes.values()),
        True,
    )
    status = 0 if arguments.list else _train(arguments, first)
    tuning = read_tuning(experiment, _own_records(arguments, trials), committed)
    executed = executed_runs(experiment, tuning)
    waiting = len(experiment.runs) - len(executed)
    second = Stage(experiment.name, list(dict.fromkeys(executed.values())))
    if arguments.list:
        status = _list(arguments, first) | _list(arguments, second)
        if waiting:
            print(f"{waiting} runs wait for the choice of their settings")
        return max(status, sweep_evaluations(arguments, experiment, executed))
    if waiting:
        print_error(f"{waiting} of {len(experiment.runs)} runs left out: trials of their rows are not finished")
    status = max(status, _train(arguments, second) if executed else 0, 1 if waiting else 0)
    return max(status, sweep_evaluations(arguments, experiment, executed))


def _committed_trials(
    arguments: argparse.Namespace, experiment: Experiment, configs: Iterable[Config]
) -> RecordsByConfig:
    """Returns the committed trials of `configs` that were made with the current version of the users' files."""
    from attn_research.reports.selection import select_current_code
    from attn_research.runs import records
    from attn_research.runs.trials import load_trials

    committed = records.by_config(load_trials(trials_file(committed_file(arguments, experiment))))
    return select_current_code(configs, committed)[0]


def _own_records(arguments: argparse.Namespace, configs: Iterable[Config]) -> RecordsByConfig:
    """Returns the records of those configs that have one in the directory of the runs."""
    from attn_research.runs import records

    found = {config: records.read(Path(arguments.runs) / digest(config)) for config in configs}
    return {config: record for config, record in found.items() if record is not None}


def _train(arguments: argparse.Namespace, stage: Stage) -> int:
    """Trains the missing runs of a stage; returns 1 unless every run is finished afterwards."""
    from attn_research.training.check import check_all
    from attn_research.training.run_status import reject_changed, warn_differences

    runs, statuses = Path(arguments.runs), _read_statuses(stage.configs, Path(arguments.runs))
    again = [status for status in statuses.values() if arguments.fresh and status.differences.all]
    unfinished = [config for config, status in statuses.items() if not status.finished or status in again]
    # Errors of the user are raised here, once, and not in every worker.
    check_all([*unfinished, *stage.later])
    if arguments.fresh:
        statuses = _set_aside_changed(statuses)
    reject_changed(statuses.values())
    warn_differences(status for status in statuses.values() if status.finished)
    missing = [config for config, status in statuses.items() if not status.finished]
    summary = f"{stage.title}: {len(stage.configs)} runs, {len(stage.configs) - len(missing)} done"
    if not missing:
        print(summary)
        return _report_unfinished(stage, {}, runs)
    _check_writable(runs)
    jobs = min(len(local.cores()) if arguments.jobs is None else arguments.jobs, len(missing))
    print(f"{summary}, {len(missing)} to train, {jobs} at a time", flush=True)
    pool = local.pool(missing, runs, jobs, local.TARGET, arguments.wandb, stage.title, arguments.stop)
    return _report_unfinished(stage, _run_pool(pool, labels(stage.configs), missing, runs), runs)


def _check_writable(runs: Path) -> None:
    """Raises a UserError if files cannot be written into the directory of the runs."""
    try:
        runs.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=runs) as file:
            file.write(bytes(4096))
    except OSError as error:
        raise UserError(f"no run can be written into {runs}: {error.strerror}") from error


def _read_statuses(configs: Iterable[Config], runs: Path) -> "dict[Config, RunStatus]":
    """Returns the status of each run, compared with the run that a worker would train now."""
    from attn_research.training.run_status import check_run

    settings = functools.cache(lambda: worker_settings(pinned=local.cores()[0] is not None))
    return {config: check_run(runs / digest(config), config, settings) for config in configs}


def _list(arguments: argparse.Namespace, stage: Stage) -> int:
    """Prints a line for each run: done, missing, diverged, or different from the run that would be trained now."""
    names, statuses = labels(stage.configs), _read_statuses(stage.configs, Path(arguments.runs))
    for config, name in names.items():
        status = statuses[config]
        word = "differs" if status.conflicts else LIST_WORDS[status.outcome]
        print(f"{word:8} {status.directory}  {'trial: ' * stage.trials}{name}")
    return 0 if stage.trials else report_diverged(filter(None, (status.outcome for status in statuses.values())))


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


def _report_unfinished(stage: Stage, ends: Mapping[str, int], runs: Path) -> int:
    """Prints how many runs of the stage are not finished, and why; returns 1 if there are any."""
    from attn_research.runs import records

    configs = stage.configs
    outcomes = [outcome for config in configs if (outcome := records.outcome(runs / digest(config), config))]
    failed, busy = ends.get("failed", 0), ends.get("busy", 0)
    if failed:
        print_error(f"{failed} of {len(configs)} runs failed; the same command retries them")
    if busy:
        print_error(f"{busy} of {len(configs)} runs left out: another process is training them")
    without = len(configs) - len(outcomes) - failed - busy
    if without > 0:
        print_error(f"{without} of {len(configs)} runs have no record; the same command trains them")
    diverged_status = 0 if stage.trials else report_diverged(outcomes)
    return diverged_status or (1 if len(outcomes) < len(configs) or failed else 0)
