"""One run with everything around it: the lock is the caller's, the cache, the mirror and old failures are done here."""

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attn_research.config import Config
from attn_research.runs.compilation_cache import enable_compilation_cache
from attn_research.runs.mirror import mirror
from attn_research.runs.signals import never
from attn_research.sweeps import failure

PROGRESS = ("step", "steps")  # of a report, beside its metrics


def make(
    target: str,
    config: Config,
    directory: Path,
    report: Callable[[Mapping[str, Any]], None],
    wandb: str = "off",
    group: str | None = None,
    stop: Callable[[], bool] = never,
) -> None:
    """Makes the run of `config` in `directory` with the function `target` ("module:function").

    Args:
      report: gets `step`, `steps` and metrics, as `training.loop.run` says them.
      wandb: off, offline or online.
      group: the experiment's name at wandb.
      stop: as `training.loop.run` has it.
    """
    failure.forget(directory)
    enable_compilation_cache()
    module, _, function = target.partition(":")
    run = getattr(importlib.import_module(module), function)
    with mirror(wandb, config, directory, group) as shown:

        def tell(numbers: Mapping[str, Any]) -> None:
            shown.log({name: value for name, value in numbers.items() if name not in PROGRESS}, numbers["step"])
            report(numbers)

        shown.finish(summary(run(config, directory, tell, stop)))


def summary(record: Mapping[str, Any]) -> dict[str, float]:
    """`{"test/exact": 0.98, ...}`: the metrics of a record."""
    return {
        f"{split}/{name}": value
        for split, found in record["splits"].items()
        for name, value in found["metrics"].items()
    }
