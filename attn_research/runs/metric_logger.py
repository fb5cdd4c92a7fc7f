"""Logs metrics to Weights & Biases, in addition to the local record. Nothing is read back."""

import contextlib
import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from attn_research.config import Config, digest, flatten
from attn_research.errors import UserError
from attn_research.registry import nearest

MODES = ("off", "offline", "online")
PROJECT = "attn-research"
METRICS = "metrics.jsonl"  # in a run's directory
NOT_METRICS = ("step", "seconds")  # fields of a line that are not metrics

log = logging.getLogger(__name__)


class MetricLogger(Protocol):
    """Logs the metrics of one run. As a context manager it finishes at the end, as failed after an exception."""

    def __enter__(self) -> "MetricLogger": ...

    def __exit__(self, kind, *_) -> None: ...

    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        """Logs the metrics of one step. Steps must increase."""

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Logs the final metrics. Nothing may be logged afterwards."""


def make_logger(mode: str, config: Config, directory: str | Path, group: str | None = None) -> MetricLogger:
    """Returns the logger of a run.

    The id at wandb is the config's digest. A resumed run continues under the same id.

    Args:
      mode: off, offline (files in `directory`) or online.
      directory: the run's directory; wandb writes to `wandb/` in it.
      group: the name of the experiment.

    Raises:
      UserError: the mode is unknown, or wandb has no account.
    """
    if mode not in MODES:
        raise UserError(f"there is no wandb mode {mode!r}; {nearest(mode, MODES)}")
    return NullLogger() if mode == "off" else WandbLogger(mode, config, Path(directory), group)


class NullLogger:
    """Logs nothing."""

    def __enter__(self) -> "NullLogger":
        return self

    def __exit__(self, kind, *_) -> None:
        pass

    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        pass

    def finish(self, summary: Mapping[str, Any]) -> None:
        pass


class WandbLogger:
    """Logs to Weights & Biases, without output on the terminal. Only this class imports wandb.

    A failure of wandb never fails the run: it gives one warning. An offline folder holds the run from its first step:
    the lines of earlier processes are read from `metrics.jsonl` and logged again.
    """

    def __init__(self, mode: str, config: Config, directory: Path, group: str | None):
        self.run: Any = None  # of wandb; None if it could not start
        self._has_warned = False
        self._earlier = directory / METRICS if mode == "offline" else None
        with self._warn_on_failure():
            import wandb

            try:
                self.run = self._start(wandb, mode, config, directory, group)
            except (wandb.errors.UsageError, wandb.errors.AuthenticationError) as error:
                reason = " ".join(str(error).split()).rstrip(".")
                raise UserError(f"wandb cannot log {mode}: {reason}; the mode 'offline' needs no account") from error

    def _start(self, wandb: Any, mode: str, config: Config, directory: Path, group: str | None) -> Any:
        directory.mkdir(parents=True, exist_ok=True)
        name = digest(config)
        return wandb.init(
            project=PROJECT,
            group=group,
            id=name,
            name=name,
            config=flatten(config),
            dir=directory,
            mode=mode,
            resume="allow",
            reinit="create_new",
            settings=wandb.Settings(silent=True, console="off", disable_git=True, disable_code=True),
        )

    def __enter__(self) -> "WandbLogger":
        return self

    def __exit__(self, kind, *_) -> None:
        if self.run is not None:
            with self._warn_on_failure():
                self.run.finish(exit_code=0 if kind is None else 1)

    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        if self.run is not None:
            with self._warn_on_failure():
                self._log_earlier(step)
                self.run.log(dict(metrics), step=step)

    def finish(self, summary: Mapping[str, Any]) -> None:
        if self.run is not None:
            with self._warn_on_failure():
                self._log_earlier(None)
                self.run.summary.update(dict(summary))
                self.run.finish()

    def _log_earlier(self, step: int | None) -> None:
        """Logs the lines of earlier processes, without the line of `step`: it is the first one of this process."""
        path, self._earlier = self._earlier, None
        lines = _read_lines(path) if path and path.is_file() else []
        if lines and lines[-1]["step"] == step:
            lines.pop()
        for line in lines:
            self.run.log({name: value for name, value in line.items() if name not in NOT_METRICS}, step=line["step"])

    @contextlib.contextmanager
    def _warn_on_failure(self) -> Iterator[None]:
        """Turns any exception of wandb into a warning, once per run."""
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            if not self._has_warned:
                reason = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".: ")
                log.warning("wandb fails (%s); the run continues, and its directory has all metrics", reason)
            self._has_warned = True


def _read_lines(path: Path) -> list[dict[str, Any]]:
    """Returns the lines of a metrics.jsonl without damaged ones."""
    result = []
    for text in path.read_bytes().split(b"\n"):
        with contextlib.suppress(ValueError):
            line = json.loads(text)
            if isinstance(line, dict) and isinstance(line.get("step"), int):
                result.append(line)
    return result
