"""Files with the parameters of another system: NumPy archives and safetensors, never pickles."""

import hashlib
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from attn_research.errors import UserError, did_you_mean

FORMATS = (".npz", ".safetensors")


class Checkpoint(NamedTuple):
    """The arrays in a file, by their names."""

    path: Path
    sha256: str  # of the file
    arrays: dict[str, np.ndarray]


def read(path: Path) -> Checkpoint:
    """Reads a .npz or .safetensors file.

    Raises:
      UserError: the file is missing, damaged, or of another format.
    """
    if path.suffix not in FORMATS:
        raise UserError(
            f"{path} is not a .npz or .safetensors file; a checkpoint of PyTorch is a pickle, which can run any code: "
            "export it first, as docs/import.md shows"
        )
    return Checkpoint(path, digest(path), _read_arrays(path))


def digest(path: Path) -> str:
    """Returns the sha256 of a file.

    Raises:
      UserError: there is no such file.
    """
    if not path.is_file():
        siblings = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
        raise UserError(f"no file {path}{did_you_mean(path.name, siblings)}")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.flax import load_file  # NumPy alone has no bfloat16

    try:
        if path.suffix == ".safetensors":
            return {name: np.asarray(array) for name, array in load_file(path).items()}
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (SafetensorError, ValueError, TypeError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path} cannot be read as {path.suffix}: {error}") from error


class Weights:
    """The arrays of a checkpoint, which remember what has been read."""

    def __init__(self, checkpoint: Checkpoint):
        self.path, self.arrays = checkpoint.path, checkpoint.arrays
        self.unread = set(self.arrays)

    def __contains__(self, name: str) -> bool:
        return name in self.arrays

    def matrix_shape(self, name: str) -> tuple[int, int]:
        """Returns the two sizes of a matrix.

        Raises:
          UserError: it is missing, or no matrix.
        """
        shape = self._find(name).shape
        if len(shape) != 2 or 0 in shape:
            raise UserError(f"{self.path} has {name} with the shape {list(shape)}, but it must be a matrix")
        return shape

    def read(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """Returns an array in float32.

        Raises:
          UserError: it is missing, has another shape, or is not made of finite numbers.
        """
        array = self._find(name)
        if array.shape != tuple(shape):
            raise UserError(
                f"{self.path} has {name} with the shape {list(array.shape)}, but the others need {list(shape)}"
            )
        if not jnp.issubdtype(array.dtype, jnp.floating):
            raise UserError(f"{self.path} has {name} as {array.dtype}, but a parameter must be a float")
        array = array.astype(np.float32)
        if not np.isfinite(array).all():
            raise UserError(f"{self.path} has a number in {name} that is not finite")
        self.unread.discard(name)
        return array

    def _find(self, name: str) -> np.ndarray:
        if name not in self.arrays:
            raise UserError(f"{self.path} has no parameter {name!r}{did_you_mean(name, self.arrays)}")
        return self.arrays[name]
