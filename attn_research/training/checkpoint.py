"""Checkpoints on disk: the last ones, from which a stopped run goes on, and the best one, its result.

Each is a folder of `arrays.npz`, `progress.json` and checksums, named by its step, and written under another name
first. Reading changes nothing on disk.
"""

import contextlib
import json
import logging
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from attn_research import storage
from attn_research.errors import UserError
from attn_research.storage import Damaged
from attn_research.training.step import TrainState

LAST = 2  # checkpoints to go on from that are kept: a damaged one is no loss
ARRAYS, PROGRESS = "arrays.npz", "progress.json"

logger = logging.getLogger(__name__)


class Checkpoints:
    """`last` holds the whole training state and the loop's progress, `best` the parameters with the best dev metric."""

    def __init__(self, directory: Path):
        self.directory, self.last, self.best = directory, directory / "last", directory / "best"

    def save(self, step: int, state: TrainState, progress: Mapping[str, Any]) -> None:
        """Saves this step, and where `progress` says that it is the best one also as the best; drops older ones.

        Raises:
          UserError: the disk is full or cannot be written; what was saved before is whole.
        """
        try:
            if progress["best_step"] == step:
                _write(self.best / str(step), {"params": state.params}, progress)
            _write(self.last / str(step), state._asdict(), progress)
            kept = _steps(self.last)[-LAST:]
            _drop(self.last, kept)
            _drop(self.best, {self._best_of(one) for one in kept})
        except OSError as error:
            raise UserError(
                f"the checkpoint of step {step} cannot be written to {self.directory}: {error.strerror or error}; "
                "when that is mended, the same command goes on from the checkpoint before"
            ) from error

    def restore(self, like: TrainState) -> tuple[TrainState, dict[str, Any]] | None:
        """The last training state and progress; None where there is none yet.

        What a killed process left half-written is removed. A damaged checkpoint is replaced by the one before, with a
        warning. Only the process that trains may call this.

        Raises:
          UserError: none is whole.
        """
        damage: list[Damaged] = []
        for step in reversed(_steps(self.last)):
            try:
                found = self._restore(step, like)
            except Damaged as error:
                damage.append(error)
                continue
            if damage:
                logger.warning("%s; the run goes on from the checkpoint of step %d, the one before", damage[0], step)
            _drop(self.last, [one for one in _steps(self.last) if one <= step])
            _drop(self.best, _steps(self.best))
            return found
        if damage:
            raise UserError(
                f"{damage[0]}, and no earlier checkpoint is whole; remove {self.directory}, and the same command "
                "trains from the beginning"
            )
        return None

    def _restore(self, step: int, like: TrainState) -> tuple[TrainState, dict[str, Any]]:
        state = TrainState(**_read(self.last / str(step), "state", like._asdict()))
        progress = storage.read_json(self._progress_file(step))
        if (best := progress["best_step"]) is not None:
            self.restore_best(like.params, best)
        return state, progress

    def best_step(self) -> int | None:
        """The step of the best parameters so far; None where there are none yet."""
        return max(_steps(self.best), default=None)

    def restore_best(self, like: Any, step: int | None = None) -> Any:
        """The best parameters, in the form of `like`: those of `step`, or the newest, while another process trains.

        Raises:
          Damaged: they are not as they were written.
        """
        step = self.best_step() if step is None else step
        try:
            return _read(self.best / str(step), "default", {"params": like})["params"]
        except Damaged as error:
            with contextlib.suppress(Damaged):  # they are those of the last state, if that is as old
                return _read(self.last / str(step), "state", {"params": like})["params"]
            raise Damaged(f"{error}; remove {self.directory}, and train the run again") from error

    def _best_of(self, step: int) -> int | None:
        with contextlib.suppress(Damaged):
            return storage.read_json(self._progress_file(step))["best_step"]

    def _progress_file(self, step: int) -> Path:
        folder = self.last / str(step)
        return folder / PROGRESS if (folder / PROGRESS).exists() else folder / "progress" / "metadata"  # by Orbax


def _steps(folder: Path) -> list[int]:
    """The steps in ascending order; what is not whole has another name."""
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal()) if folder.is_dir() else []


def _drop(folder: Path, kept: Any) -> None:
    """Removes everything else."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if not (path.name.isdecimal() and int(path.name) in kept):
            storage.remove(path)


def _write(folder: Path, tree: Mapping[str, Any], progress: Mapping[str, Any]) -> None:
    with storage.new_folder(folder) as draft:
        with zipfile.ZipFile(draft / ARRAYS, "w") as file:  # as numpy.savez, which speaks when the disk is full
            for name, leaf in _named(jax.device_get(tree)).items():
                with file.open(f"{name}.npy", "w", force_zip64=True) as entry:
                    np.lib.format.write_array(entry, np.asarray(leaf), allow_pickle=False)
        (draft / PROGRESS).write_text(json.dumps(progress), encoding="utf-8")


def _read(folder: Path, item: str, like: dict[str, Any]) -> dict[str, Any]:
    """Arrays in the form of `like`; `item` is what Orbax named them, with which earlier versions wrote."""
    if not (folder / ARRAYS).exists() and (folder / item).is_dir():
        from attn_research.training.orbax_checkpoint import read

        return read(folder / item, like)
    storage.verify(folder)
    with np.load(folder / ARRAYS, allow_pickle=False) as file:
        leaves = [_fitting(file, name, leaf, folder) for name, leaf in _named(like).items()]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def _fitting(file: Mapping[str, np.ndarray], name: str, like: Any, folder: Path) -> jax.Array:
    if name not in file:
        raise UserError(f"{folder} has no array {name}: it was made by another version of the model")
    found = file[name]
    if (found.shape, found.dtype) != (like.shape, like.dtype):
        raise UserError(
            f"{folder} has {name} as {found.dtype} {list(found.shape)}, but the model needs {like.dtype} "
            f"{list(like.shape)}: it was made by another version of the model, or with other settings of jax"
        )
    return jnp.array(found)  # a copy, since training gives its memory away


def _named(tree: Any) -> dict[str, Any]:
    leaves = jax.tree.leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}
