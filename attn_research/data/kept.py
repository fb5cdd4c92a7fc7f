"""Generated data that outlives the process, so that the next run need not draw it again."""

import contextlib
import hashlib
import importlib.metadata
import platform
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from attn_research.cache import cache_root

if TYPE_CHECKING:
    import pyarrow

CODE = Path(__file__).parent
PACKAGES = ("babel", "datasets", "pyarrow")  # what else decides about it


def kept(name: str, make: Callable[[], "dict[str, pyarrow.Table]"]) -> "dict[str, pyarrow.Table]":
    """The tables that `make` draws, or those that the same code drew before under this name."""
    directory = cache_root() / "data" / _key(name)
    with contextlib.suppress(OSError, ValueError):  # they are not there, or not whole
        return _read(directory)
    tables = make()
    with contextlib.suppress(OSError):  # nowhere to keep them, or another process was first
        directory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory.parent) as draft:
            _write(tables, Path(draft) / "data")
            (Path(draft) / "data").rename(directory)
    return tables


def _read(directory: Path) -> "dict[str, pyarrow.Table]":
    import pyarrow

    names = (directory / "splits").read_text().splitlines()
    return {name: pyarrow.ipc.open_file(pyarrow.memory_map(str(directory / name))).read_all() for name in names}


def _write(tables: "dict[str, pyarrow.Table]", directory: Path) -> None:
    import pyarrow

    directory.mkdir()
    (directory / "splits").write_text("\n".join(tables))
    for name, table in tables.items():
        with pyarrow.ipc.new_file(directory / name, table.schema) as file:
            file.write_table(table)


def _key(name: str) -> str:
    """Other code or other versions may draw something else."""
    sha = hashlib.sha256(f"{name} {platform.python_version()}".encode())
    for package in PACKAGES:
        sha.update(importlib.metadata.version(package).encode())
    for file in sorted(CODE.rglob("*.py")):
        sha.update(file.read_bytes())
    return sha.hexdigest()[:16]
