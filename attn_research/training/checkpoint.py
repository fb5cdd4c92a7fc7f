"""Checkpoints on disk by Orbax: the last one, from which a killed run goes on, and the best one, its result."""

from pathlib import Path
from typing import Any

import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import LatestN

from attn_research.training.step import TrainState


class Checkpoints:
    """`last` holds the whole training state and the loop's progress, `best` the parameters with the best dev metric.

    Each is written under another name and renamed when it is whole.
    """

    def __init__(self, directory: Path):
        self.last, self.best = _manager(directory / "last"), _manager(directory / "best")

    def save(self, step: int, state: TrainState, progress: dict[str, Any]) -> None:
        """Keeps this step alone; where `progress` says that it is the best one, also as the best."""
        if progress["best_step"] == step and self.best.latest_step() != step:
            self.best.save(step, args=ocp.args.StandardSave(state.params))
        args = ocp.args.Composite(state=ocp.args.StandardSave(state), progress=ocp.args.JsonSave(progress))
        self.last.save(step, args=args)

    def restore(self, like: TrainState) -> tuple[TrainState, dict[str, Any]] | None:
        """The last training state and progress; None where there is none yet."""
        if self.last.latest_step() is None:
            return None
        args = ocp.args.Composite(state=ocp.args.StandardRestore(like), progress=ocp.args.JsonRestore())
        found = self.last.restore(self.last.latest_step(), args=args)
        return TrainState(*found.state), found.progress

    def restore_best(self, like: Any) -> Any:
        """The best parameters, in the form of `like`."""
        return self.best.restore(self.best.latest_step(), args=ocp.args.StandardRestore(like))

    def close(self) -> None:
        """Frees what the managers hold."""
        self.last.close()
        self.best.close()


def _manager(directory: Path) -> ocp.CheckpointManager:
    options = ocp.CheckpointManagerOptions(
        preservation_policy=LatestN(1), enable_async_checkpointing=False, cleanup_tmp_directories=True
    )
    return ocp.CheckpointManager(directory.resolve(), options=options)
