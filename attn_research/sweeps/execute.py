"""One run with everything around it: the lock is the caller's, the cache, the logger and old failures are done here."""

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attn_research.config import Config
from attn_research.runs.compilation_cache import enable_compilation_cache
from attn_research.runs.metric_logger import make_logger
from attn_research.runs.signals import never_stop
from attn_research.sweeps import failure

PROGRESS_KEYS = ("step", "steps")  # of a report, beside its metrics


def execute_run(
    target: str,
    config: Config,
    directory: Path,
    report: Callable[[Mapping[str, Any]], None],
    wandb: str = "off",
    group: str | None = None,
    stop: Callable[[], bool] = never_stop,
) -> None:
    """Makes the run of `config` in `directory` with the function `target` ("module:function").

    Args:
      report: gets `step`, `steps` and metrics, as `training.loop.run` says them.
      wandb: off, offline or online.
      group: the experiment's name at wandb.
      stop: as `training.loop.run` has it.
    """
    failure.remove(directory)
    enable_compilation_cache()
    module, _, function = target.partition(":")
    run = getattr(importlib.import_module(module), function)
    with make_logger(wandb, config, directory, group) as logger:

        def log_and_report(numbers: Mapping[str, Any]) -> None:
            logger.log({name: value for name, value in numbers.items() if name not in PROGRESS_KEYS}, numbers["step"])
            report(numbers)

        logger.finish(summary(run(config, directory, log_and_report, stop)))


def summary(record: Mapping[str, Any]) -> dict[str, float]:
    """`{"test/exact": 0.98, ...}`: the metrics of a record."""
    return {
        f"{split}/{name}": value
        for split, split_record in record["splits"].items()
        for name, value in split_record["metrics"].items()
    }
