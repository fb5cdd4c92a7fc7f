"""`attn-research train`: one run."""

import argparse
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from attn_research.commands.words import complain, diverged, measured, outcome
from attn_research.config import Config, digest, load, override, parse_changes
from attn_research.errors import describe
from attn_research.runs import records
from attn_research.runs.settings import settings
from attn_research.spelling import normal
from attn_research.sweeps import failure, local
from attn_research.sweeps.expand import blaming
from attn_research.sweeps.lock import hold
from attn_research.sweeps.make import make
from attn_research.sweeps.progress import advance, training_progress
from attn_research.training.check import check
from attn_research.training.identify import refuse, set_aside, stand, tell


def train(arguments: argparse.Namespace) -> int:
    """Trains the config, or says what came of it if that is done; 1 if the run failed or diverged."""
    with blaming(arguments.config):
        config = load(arguments.config)
    config = normal(override(config, parse_changes(arguments.changes)), users=True)
    directory = Path(arguments.runs) / digest(config)
    if arguments.fresh or not records.is_done(directory, config):
        check(config)  # what is wrong is told before anything is written
    with hold(directory), set_aside(directory) if arguments.fresh else nullcontext():
        standing = stand(directory, config, settings)
        refuse([standing])
        if standing.done:
            tell([standing])
            record = records.read(directory)
            print(f"This run {'diverged' if diverged(record) else 'is finished'} already, on {record['date']}.")
        elif not _made(config, directory, arguments.wandb, arguments.stop):
            return 1
    record = records.read(directory)
    _tell(record, directory)
    return 1 if diverged(record) else 0


def _made(config: Config, directory: Path, wandb: str, stop: Callable[[], bool]) -> bool:
    """Whether the run came to its end; a user's error goes on to the caller."""
    try:
        _make(config, directory, wandb, stop)
    except Exception as error:
        if failure.is_users(error):
            raise
        file = failure.write(directory, traceback.format_exc()) or failure.keep_traceback()
        complain(f"{describe(error)} (the traceback is in {file})")
        return False
    return True


def _make(config: Config, directory: Path, wandb: str, stop: Callable[[], bool]) -> None:
    if not sys.stdout.isatty():
        make(local.TARGET, config, directory, _say, wandb, stop=stop)
        return
    with training_progress() as progress:
        bar = progress.add_task(directory.name, total=config.train.steps, note="starting")
        make(local.TARGET, config, directory, lambda numbers: advance(progress, bar, numbers), wandb, stop=stop)


def _say(numbers: Mapping[str, Any]) -> None:
    dev = {name.removeprefix("dev/"): value for name, value in numbers.items() if name.startswith("dev/")}
    text = f"dev {measured(dev)}" if dev else measured(numbers)
    print(f"step {numbers['step']}/{numbers['steps']}: {text}", flush=True)


def _tell(record: Mapping[str, Any], directory: Path) -> None:
    if diverged(record):
        complain(f"the run {outcome(record)}")
    for name, split in record["splits"].items():
        print(f"{name}: {measured(split['metrics'])}")
    print(f"run: {directory}")
