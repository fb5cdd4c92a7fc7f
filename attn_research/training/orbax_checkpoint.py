"""Reads checkpoints that earlier versions wrote with Orbax."""

from pathlib import Path
from typing import Any

import orbax.checkpoint as ocp

from attn_research.storage import DamagedFileError
from attn_research.training.step import TrainState


def read(folder: Path, like: dict[str, Any]) -> dict[str, Any]:
    """The tree in a folder, in the form of `like`; a tree that has parameters alone has no name above them.

    Raises:
      DamagedFileError: it cannot be read, or has another form.
    """
    alone = folder.name == "default"
    try:
        with ocp.StandardCheckpointer() as checkpointer:
            if alone:
                return {"params": checkpointer.restore(folder.resolve(), like["params"])}
            return checkpointer.restore(folder.resolve(), TrainState(**like))._asdict()
    except Exception as error:  # of many kinds, by Orbax and TensorStore
        reason = " ".join(str(error).split())[:200]
        raise DamagedFileError(f"{folder} is damaged, or was made by another version of the model: {reason}") from error
