"""`attn-research train`: one run."""

import argparse
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attn_research.commands.words import measured
from attn_research.config import Config, digest, load, override, parse_changes
from attn_research.runs import records
from attn_research.sweeps import failure
from attn_research.sweeps.expand import blaming
from attn_research.sweeps.lock import hold


def train(arguments: argparse.Namespace) -> int:
    """Trains the config, or says what came of it if that is done; 1 if the run failed."""
    with blaming(arguments.config):
        config = load(arguments.config)
    config = override(config, parse_changes(arguments.changes))
    directory = Path(arguments.runs) / digest(config)
    with hold(directory):
        if records.is_done(directory, config):
            print(f"This run is finished already, on {records.read(directory)['date']}.")
        elif not _made(config, directory):
            return 1
    _tell(records.read(directory), directory)
    return 0


def _made(config: Config, directory: Path) -> bool:
    """Whether the run came to its end; a user's error goes on to the caller."""
    failure.forget(directory)
    try:
        _make(config, directory)
    except Exception as error:
        if isinstance(error, ValueError) and _is_ours(error):
            raise
        failure.write(directory, traceback.format_exc())
        text = f"{failure.sentence(error)} (the traceback is in {directory / failure.FILE})"
        print(f"attn-research: {text}", file=sys.stderr)
        return False
    return True


def _is_ours(error: Exception) -> bool:
    """Whether this package found the error, and not a library or a user's function that it called."""
    package = Path(__file__).parent.parent
    return package in Path(traceback.extract_tb(error.__traceback__)[-1].filename).parents


def _make(config: Config, directory: Path) -> None:
    from attn_research.sweeps.cache import enable_compilation_cache
    from attn_research.training.loop import run

    enable_compilation_cache()
    if not sys.stdout.isatty():
        run(config, directory, _say)
        return
    from attn_research.sweeps.progress import advance, training_progress

    with training_progress() as progress:
        bar = progress.add_task(directory.name, total=config.train.steps, note="starting")
        run(config, directory, lambda numbers: advance(progress, bar, numbers))


def _say(numbers: Mapping[str, Any]) -> None:
    dev = {name.removeprefix("dev/"): value for name, value in numbers.items() if name.startswith("dev/")}
    text = f"dev {measured(dev)}" if dev else measured(numbers)
    print(f"step {numbers['step']}/{numbers['steps']}: {text}", flush=True)


def _tell(record: Mapping[str, Any], directory: Path) -> None:
    if record["status"] != "finished":
        print(f"The run {record['status']}: {record['failure']}.")
    for name, split in record["splits"].items():
        print(f"{name}: {measured(split['metrics'])}")
    print(f"run: {directory}")
