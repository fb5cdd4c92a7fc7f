"""Checkpoints on disk: the last ones, from which a run resumes, and the best one, which is its result.

Each is a folder named by its step with `arrays.npz`, `progress.json` and checksums. It is written atomically.
"""

import contextlib
import json
import logging
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast, get_args

import jax
import jax.numpy as jnp
import numpy as np

from attn_research import storage
from attn_research.errors import UserError
from attn_research.storage import DamagedFileError
from attn_research.training.step import TrainState

RETAINED = 2  # last checkpoints: if the newest is damaged, the run resumes from the one before
Kind = Literal["last", "best"]
ARRAYS, PROGRESS = "arrays.npz", "progress.json"

logger = logging.getLogger(__name__)


class Checkpoints:
    """`last` holds training states and the progress of the loop, `best` the parameters with the best dev metric.

    Args:
      keep: the fewest checkpoints of each kind that `save` retains, once there are as many. A best one was the best
        of all evaluations until its step.
    """

    def __init__(self, directory: Path, keep: int = 1):
        self.directory, self.last, self.best, self.keep = directory, directory / "last", directory / "best", keep

    def save(self, step: int, state: TrainState, progress: Mapping[str, Any]) -> None:
        """Saves a checkpoint and removes older ones.

        Args:
          step: the number of the step.
          progress: JSON values of the loop. If `progress["best_step"]` is `step`, the parameters are also the best.

        Raises:
          UserError: the disk is full or not writable. Earlier checkpoints stay intact.
        """
        try:
            if progress["best_step"] == step:
                self.save_best(step, state.params, progress)
            _write(self.last / str(step), state._asdict(), progress)
            retained = _steps(self.last)[-max(RETAINED, self.keep) :]
            _drop(self.last, retained)
            best = [one for one in _steps(self.best) if one <= (progress["best_step"] or 0)]
            _drop(self.best, {self._best_of(one) for one in retained[-RETAINED:]} | set(best[-self.keep :]))
        except OSError as error:
            raise UserError(
                f"the checkpoint of step {step} cannot be written to {self.directory}: {error.strerror or error}; "
                "after that is fixed, the same command resumes from the checkpoint before"
            ) from error

    def save_best(self, step: int, params: Any, progress: Mapping[str, Any]) -> None:
        """Saves the best parameters alone, from which no run resumes."""
        _write(self.best / str(step), {"params": params}, progress)

    def restore(self, template: TrainState) -> tuple[TrainState, dict[str, Any]] | None:
        """Returns the last training state and progress; None if there is no checkpoint.

        Removes incomplete checkpoints of a killed process. If the last one is damaged, warns and takes the one before.
        Only the process that trains may call this.

        Args:
          template: a state with the structure, shapes and types to restore.

        Raises:
          UserError: all checkpoints are damaged.
        """
        damage: list[DamagedFileError] = []
        for step in reversed(_steps(self.last)):
            try:
                restored = self._restore(step, template)
            except DamagedFileError as error:
                damage.append(error)
                continue
            if damage:
                logger.warning("%s; the run resumes from the checkpoint of step %d, the one before", damage[0], step)
            _drop(self.last, [one for one in _steps(self.last) if one <= step])
            _drop(self.best, _steps(self.best))
            return restored
        if damage:
            raise UserError(
                f"{damage[0]}, and no earlier checkpoint is intact; remove {self.directory}, and the same command "
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
        """Returns the step of the best parameters so far; None if there are none."""
        return max(_steps(self.best), default=None)

    def restore_best(self, template: Any, step: int | None = None) -> Any:
        """Returns the best parameters, with the structure of `template`. Another process may be training.

        Args:
          step: their step; None: the newest.

        Raises:
          DamagedFileError: the checkpoint is damaged.
        """
        step = self.best_step() if step is None else step
        try:
            return _read(self.best / str(step), "default", {"params": template})["params"]
        except DamagedFileError as error:
            with contextlib.suppress(DamagedFileError):  # the training state of the same step has the same parameters
                return _read(self.last / str(step), "state", {"params": template})["params"]
            raise DamagedFileError(f"{error}; remove {self.directory}, and train the run again") from error

    def restore_average(self, template: Any, kind: Kind, number: int) -> Any:
        """Returns the mean of the parameters of `number` checkpoints, the newest ones of a kind.

        Args:
          template: as in `restore_best`.
          kind: "last", or "best": checkpoints that were the best of all evaluations until their steps.

        Raises:
          UserError: there are fewer checkpoints.
          DamagedFileError: a checkpoint is damaged.
        """
        folder, item = (self.last, "state") if kind == "last" else (self.best, "default")
        steps = _steps(folder)
        if len(steps) < number:
            raise UserError(
                f"{folder} has {len(steps)} checkpoints, but the average needs {number}; train.keep={number} retains "
                "as many"
            )
        trees = [_read(folder / str(step), item, {"params": template})["params"] for step in steps[-number:]]
        return jax.tree.map(_mean, *trees)

    def _best_of(self, step: int) -> int | None:
        with contextlib.suppress(DamagedFileError):
            return storage.read_json(self._progress_file(step))["best_step"]
        return None

    def _progress_file(self, step: int) -> Path:
        folder = self.last / str(step)
        return folder / PROGRESS if (folder / PROGRESS).exists() else folder / "progress" / "metadata"  # Orbax


def parse_average(text: str) -> tuple[Kind, int]:
    """Returns kind and number of "last:N" or "best:N".

    Raises:
      UserError: the text has another form.
    """
    kind, _, number = text.partition(":")
    if kind not in get_args(Kind) or not (number.isdecimal() and int(number) > 1):
        raise UserError(f"average is {text!r}, but must be last:N or best:N with N at least 2, as in last:5")
    return cast(Kind, kind), int(number)


def _mean(*arrays: jax.Array) -> jax.Array:
    """Returns the mean, computed in float64."""
    return jnp.array(np.mean([np.asarray(array, np.float64) for array in arrays], axis=0).astype(arrays[0].dtype))


def _steps(folder: Path) -> list[int]:
    """Returns the steps in ascending order. Incomplete checkpoints have other names."""
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal()) if folder.is_dir() else []


def _drop(folder: Path, retained: Any) -> None:
    """Removes everything except the steps in `retained`."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if not (path.name.isdecimal() and int(path.name) in retained):
            storage.remove(path)


def _write(folder: Path, tree: Mapping[str, Any], progress: Mapping[str, Any]) -> None:
    with storage.new_folder(folder) as draft:
        with zipfile.ZipFile(draft / ARRAYS, "w") as file:  # unlike numpy.savez, raises if the disk is full
            for name, leaf in _flatten_names(jax.device_get(tree)).items():
                with file.open(f"{name}.npy", "w", force_zip64=True) as entry:
                    np.lib.format.write_array(entry, np.asarray(leaf), allow_pickle=False)
        (draft / PROGRESS).write_text(json.dumps(progress), encoding="utf-8")


def _read(folder: Path, item: str, template: dict[str, Any]) -> dict[str, Any]:
    """Reads arrays with the structure of `template`.

    Args:
      item: the name of the arrays in a checkpoint that an early version wrote with Orbax.
    """
    if not (folder / ARRAYS).exists() and (folder / item).is_dir():
        return _read_orbax(folder / item, template)
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
    return jnp.array(restored)  # a copy: the training step donates its memory


def _flatten_names(tree: Any) -> dict[str, Any]:
    leaves = jax.tree.leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def _read_orbax(folder: Path, template: dict[str, Any]) -> dict[str, Any]:
    """Reads a checkpoint of Orbax. A tree of parameters alone has no `params` above them."""
    import orbax.checkpoint as ocp

    try:
        with ocp.StandardCheckpointer() as checkpointer:
            if folder.name == "default":
                return {"params": checkpointer.restore(folder.resolve(), template["params"])}
            return checkpointer.restore(folder.resolve(), TrainState(**template))._asdict()
    except Exception as error:  # Orbax and TensorStore raise many types
        reason = " ".join(str(error).split())[:200]
        raise DamagedFileError(f"{folder} is damaged, or was made by another version of the model: {reason}") from error
