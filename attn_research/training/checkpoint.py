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
from attn_research.storage import DamagedFileError
from attn_research.training.step import TrainState

RETAINED = 2  # checkpoints to go on from that are kept: a damaged one is no loss
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
            retained = _steps(self.last)[-RETAINED:]
            _drop(self.last, retained)
            _drop(self.best, {self._best_of(one) for one in retained})
        except OSError as error:
            raise UserError(
                f"the checkpoint of step {step} cannot be written to {self.directory}: {error.strerror or error}; "
                "when that is mended, the same command goes on from the checkpoint before"
            ) from error

    def restore(self, template: TrainState) -> tuple[TrainState, dict[str, Any]] | None:
        """The last training state and progress; None where there is none yet.

        What a killed process left half-written is removed. A damaged checkpoint is replaced by the one before, with a
        warning. Only the process that trains may call this.

        Raises:
          UserError: none is whole.
        """
        damage: list[DamagedFileError] = []
        for step in reversed(_steps(self.last)):
            try:
                restored = self._restore(step, template)
            except DamagedFileError as error:
                damage.append(error)
                continue
            if damage:
                logger.warning("%s; the run goes on from the checkpoint of step %d, the one before", damage[0], step)
            _drop(self.last, [one for one in _steps(self.last) if one <= step])
            _drop(self.best, _steps(self.best))
            return restored
        if damage:
            raise UserError(
                f"{damage[0]}, and no earlier checkpoint is whole; remove {self.directory}, and the same command "
                "trains from the beginning"
            )
        return None

    def _restore(self, step: int, template: TrainState) -> tuple[TrainState, dict[str, Any]]:
        state = TrainState(**_read(self.last / str(step), "state", template._asdict()))
        progress = storage.read_json(self._progress_file(step))
        if (best := progress["best_step"]) is not None:
            self.restore_best(template.params, best)
        return state, progress

    def best_step(self) -> int | None:
        """The step of the best parameters so far; None where there are none yet."""
        return max(_steps(self.best), default=None)

    def restore_best(self, template: Any, step: int | None = None) -> Any:
        """The best parameters, in the form of `template`: those of `step`, or the newest, while another process trains.

        Raises:
          DamagedFileError: they are not as they were written.
        """
        step = self.best_step() if step is None else step
        try:
            return _read(self.best / str(step), "default", {"params": template})["params"]
        except DamagedFileError as error:
            with contextlib.suppress(DamagedFileError):  # they are those of the last state, if that is as old
                return _read(self.last / str(step), "state", {"params": template})["params"]
            raise DamagedFileError(f"{error}; remove {self.directory}, and train the run again") from error

    def _best_of(self, step: int) -> int | None:
        with contextlib.suppress(DamagedFileError):
            return storage.read_json(self._progress_file(step))["best_step"]

    def _progress_file(self, step: int) -> Path:
        folder = self.last / str(step)
        return folder / PROGRESS if (folder / PROGRESS).exists() else folder / "progress" / "metadata"  # by Orbax


def _steps(folder: Path) -> list[int]:
    """The steps in ascending order; what is not whole has another name."""
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal()) if folder.is_dir() else []


def _drop(folder: Path, retained: Any) -> None:
    """Removes everything else."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if not (path.name.isdecimal() and int(path.name) in retained):
            storage.remove(path)


def _write(folder: Path, tree: Mapping[str, Any], progress: Mapping[str, Any]) -> None:
    with storage.new_folder(folder) as draft:
        with zipfile.ZipFile(draft / ARRAYS, "w") as file:  # as numpy.savez, which speaks when the disk is full
            for name, leaf in _flatten_names(jax.device_get(tree)).items():
                with file.open(f"{name}.npy", "w", force_zip64=True) as entry:
                    np.lib.format.write_array(entry, np.asarray(leaf), allow_pickle=False)
        (draft / PROGRESS).write_text(json.dumps(progress), encoding="utf-8")


def _read(folder: Path, item: str, template: dict[str, Any]) -> dict[str, Any]:
    """Arrays in the form of `template`; `item` is what Orbax named them, with which earlier versions wrote."""
    if not (folder / ARRAYS).exists() and (folder / item).is_dir():
        from attn_research.training.orbax_checkpoint import read

        return read(folder / item, template)
    storage.verify(folder)
    with np.load(folder / ARRAYS, allow_pickle=False) as file:
        leaves = [_load_array(file, name, leaf, folder) for name, leaf in _flatten_names(template).items()]
    return jax.tree.unflatten(jax.tree.structure(template), leaves)


def _load_array(file: Mapping[str, np.ndarray], name: str, template: Any, folder: Path) -> jax.Array:
    if name not in file:
        raise UserError(f"{folder} has no array {name}: it was made by another version of the model")
    restored = file[name]
    if (restored.shape, restored.dtype) != (template.shape, template.dtype):
        raise UserError(
            f"{folder} has {name} as {restored.dtype} {list(restored.shape)}, but the model needs {template.dtype} "
            f"{list(template.shape)}: it was made by another version of the model, or with other settings of jax"
        )
    return jnp.array(restored)  # a copy, since training gives its memory away


def _flatten_names(tree: Any) -> dict[str, Any]:
    leaves = jax.tree.leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}
