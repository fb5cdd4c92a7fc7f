"""Executes one run: its lock, its metric logger, the compilation cache and the record of its failure."""

import contextlib
import fcntl
import functools
import importlib
import logging
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from attn_research.config import Config
from attn_research.errors import UserError
from attn_research.runs.compilation_cache import enable_compilation_cache
from attn_research.runs.metric_logger import MetricLogger, make_logger
from attn_research.runs.signals import never_stop

FAILURE = "failure.txt"  # in the directory of a run that failed
PROGRESS_KEYS = ("step", "steps")  # fields of a report that are not metrics
Report = Callable[[Mapping[str, Any]], None]


class RunLockedError(UserError):
    """Another process executes this run."""


@contextlib.contextmanager
def lock_run(directory: Path) -> Iterator[None]:
    """Locks the run directory. The lock is released when the context or the process ends, however it ends.

    Raises:
      RunLockedError: another process holds the lock.
    """
    path = directory.parent / ".locks" / directory.name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunLockedError(f"another process is training {directory}; wait for it or stop it first") from None
        yield


def execute_run(
    target: str,
    config: Config,
    directory: Path,
    report: Report,
    wandb: str = "off",
    group: str | None = None,
    stop: Callable[[], bool] = never_stop,
) -> None:
    """Executes the run of `config`. The caller holds the lock of the directory.

    Args:
      target: "module:function" with the signature of `training.loop.run`.
      directory: the run's directory.
      report: called with `step`, `steps` and metrics, as by `training.loop.run`.
      wandb: off, offline or online.
      group: the name of the experiment at wandb.
      stop: as in `training.loop.run`.
    """
    (directory / FAILURE).unlink(missing_ok=True)
    enable_compilation_cache()
    module, _, function = target.partition(":")
    run = getattr(importlib.import_module(module), function)
    with make_logger(wandb, config, directory, group) as logger:
        record = run(config, directory, functools.partial(_log_and_report, logger, report), stop)
        logger.finish(summary(record))


def _log_and_report(logger: MetricLogger, report: Report, numbers: Mapping[str, Any]) -> None:
    logger.log({name: value for name, value in numbers.items() if name not in PROGRESS_KEYS}, numbers["step"])
    report(numbers)


def summary(record: Mapping[str, Any]) -> dict[str, float]:
    """Returns the metrics of a record by split and name, as in `{"test/exact": 0.98, ...}`."""
    return {
        f"{split}/{name}": value
        for split, split_record in record["splits"].items()
        for name, value in split_record["metrics"].items()
    }


def write_failure(directory: Path, text: str) -> Path | None:
    """Writes the failure of a run into its directory and returns the file; None if it cannot be written."""
    with contextlib.suppress(OSError):
        directory.mkdir(parents=True, exist_ok=True)
        (directory / FAILURE).write_text(text, encoding="utf-8")
        return directory / FAILURE
    return None


def write_traceback() -> str:
    """Writes the traceback of the current exception to a temporary file and returns the file's name."""
    with contextlib.suppress(OSError):
        with tempfile.NamedTemporaryFile(
            "w", prefix="attn-research-", suffix=".txt", encoding="utf-8", delete=False
        ) as file:
            file.write(traceback.format_exc())
        return file.name
    return "no file: the temporary folder is not writable"


class _WarningHandler(logging.Handler):
    def __init__(self, send: Callable[[str], None]):
        super().__init__(logging.WARNING)
        self.send = send

    def emit(self, record: logging.LogRecord) -> None:
        self.send(record.getMessage())


@contextlib.contextmanager
def warnings_to(send: Callable[[str], None]) -> Iterator[None]:
    """Sends every warning of this package to `send`, and not to the root logger, which other libraries configure."""
    logger, handler = logging.getLogger("attn_research"), _WarningHandler(send)
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = True
