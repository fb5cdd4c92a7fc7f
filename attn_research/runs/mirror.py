"""A run's numbers at wandb too: never the only place where they stand, and nothing is read back from there."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from attn_research.config import Config, digest, flat
from attn_research.errors import UserError
from attn_research.registry import nearest

MODES = ("off", "offline", "online")
PROJECT = "attn-research"


class Mirror(Protocol):
    """Takes the numbers of one run; as a context it finishes by itself, as failed if it is left by an exception."""

    def __enter__(self) -> "Mirror": ...

    def __exit__(self, kind, *_) -> None: ...

    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        """Numbers of one step; steps must rise."""

    def finish(self, summary: Mapping[str, Any]) -> None:
        """The run's last numbers; nothing may be logged afterwards."""


def mirror(mode: str, config: Config, directory: str | Path, group: str | None = None) -> Mirror:
    """The mirror of the run of `config`: off, into files below `directory`, or online.

    The run's id is the config's digest, and a run that is started again goes on under the same id.

    Args:
      directory: of the run; wandb's files are put into `wandb/` there.
      group: the experiment's name.

    Raises:
      UserError: no such mode, or wandb cannot start.
    """
    if mode not in MODES:
        raise UserError(f"there is no wandb mode {mode!r}; {nearest(mode, MODES)}")
    return Off() if mode == "off" else Wandb(mode, config, Path(directory), group)


class Off:
    """The mirror that shows nothing."""

    def __enter__(self) -> "Off":
        return self

    def __exit__(self, kind, *_) -> None:
        pass

    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        pass

    def finish(self, summary: Mapping[str, Any]) -> None:
        pass


class Wandb:
    """The mirror at wandb, which is imported only here and says nothing on the terminal."""

    def __init__(self, mode: str, config: Config, directory: Path, group: str | None):
        import wandb

        directory.mkdir(parents=True, exist_ok=True)
        quiet = wandb.Settings(silent=True, console="off", disable_git=True, disable_code=True)
        name = digest(config)
        try:
            self.run = wandb.init(
                project=PROJECT,
                group=group,
                id=name,
                name=name,
                config=flat(config),
                dir=directory,
                mode=mode,
                resume="allow",
                reinit="create_new",
                settings=quiet,
            )
        except wandb.Error as error:
            reason = " ".join(str(error).split()).rstrip(".")
            raise UserError(f"wandb cannot mirror {mode}: {reason}; the mode 'offline' needs no account") from error

    def __enter__(self) -> "Wandb":
        return self

    def __exit__(self, kind, *_) -> None:
        self.run.finish(exit_code=0 if kind is None else 1)

    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        self.run.log(dict(metrics), step=step)

    def finish(self, summary: Mapping[str, Any]) -> None:
        self.run.summary.update(dict(summary))
        self.run.finish()
