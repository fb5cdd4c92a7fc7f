"""A run's numbers at wandb too: never the only place where they stand, and nothing is read back from there."""

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
METRICS = "metrics.jsonl"  # of a run's directory
BESIDE = ("step", "seconds")  # of its lines, beside the metrics

log = logging.getLogger(__name__)


class MetricLogger(Protocol):
    """Takes the numbers of one run; as a context it finishes by itself, as failed if it is left by an exception."""

    def __enter__(self) -> "MetricLogger": ...

    def __exit__(self, kind, *_) -> None: ...

    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        """Numbers of one step; steps must rise."""

    def finish(self, summary: Mapping[str, Any]) -> None:
        """The run's last numbers; nothing may be logged afterwards."""


def make_logger(mode: str, config: Config, directory: str | Path, group: str | None = None) -> MetricLogger:
    """The logger of the run of `config`: off, into files below `directory`, or online.

    The run's id is the config's digest, and a run that is started again goes on under the same id.

    Args:
      directory: of the run; wandb's files are put into `wandb/` there.
      group: the experiment's name.

    Raises:
      UserError: no such mode, or wandb has no account to log to.
    """
    if mode not in MODES:
        raise UserError(f"there is no wandb mode {mode!r}; {nearest(mode, MODES)}")
    return NullLogger() if mode == "off" else WandbLogger(mode, config, Path(directory), group)


class NullLogger:
    """The logger that shows nothing."""

    def __enter__(self) -> "NullLogger":
        return self

    def __exit__(self, kind, *_) -> None:
        pass

    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        pass

    def finish(self, summary: Mapping[str, Any]) -> None:
        pass


class WandbLogger:
    """The logger at wandb, which is imported only here and says nothing on the terminal.

    The run never fails by it: what goes wrong is told once, and the run goes on. An offline folder holds a run from its
    beginning: what an earlier process has logged is read from `metrics.jsonl` and logged again.
    """

    def __init__(self, mode: str, config: Config, directory: Path, group: str | None):
        self.run, self._told = None, False
        self._earlier = directory / METRICS if mode == "offline" else None
        with self._surviving():
            import wandb

            try:
                self.run = self._start(wandb, mode, config, directory, group)
            except (wandb.errors.UsageError, wandb.errors.AuthenticationError) as error:
                reason = " ".join(str(error).split()).rstrip(".")
                raise UserError(f"wandb cannot mirror {mode}: {reason}; the mode 'offline' needs no account") from error

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
            with self._surviving():
                self.run.finish(exit_code=0 if kind is None else 1)

    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        if self.run is not None:
            with self._surviving():
                self._log_earlier(step)
                self.run.log(dict(metrics), step=step)

    def finish(self, summary: Mapping[str, Any]) -> None:
        if self.run is not None:
            with self._surviving():
                self._log_earlier(None)
                self.run.summary.update(dict(summary))
                self.run.finish()

    def _log_earlier(self, step: int | None) -> None:
        """Logs the lines of earlier processes before anything else; the line of `step` is this process's first one."""
        path, self._earlier = self._earlier, None
        lines = _read_lines(path) if path and path.is_file() else []
        if lines and lines[-1]["step"] == step:
            lines.pop()
        for line in lines:
            self.run.log({name: value for name, value in line.items() if name not in BESIDE}, step=line["step"])

    @contextlib.contextmanager
    def _surviving(self) -> Iterator[None]:
        """Turns whatever wandb raises into one warning a run."""
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            if not self._told:
                reason = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".: ")
                log.warning("wandb fails (%s); the run goes on, and its numbers stand in its directory", reason)
            self._told = True


def _read_lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a metrics.jsonl; damaged ones are left out."""
    result = []
    for text in path.read_bytes().split(b"\n"):
        with contextlib.suppress(ValueError):
            line = json.loads(text)
            if isinstance(line, dict) and isinstance(line.get("step"), int):
                result.append(line)
    return result
