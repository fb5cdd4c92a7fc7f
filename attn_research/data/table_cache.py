"""Generated data that outlives the process, so that the next run need not draw it again."""

import contextlib
import hashlib
import importlib.metadata
import platform
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from attn_research import storage
from attn_research.cache import cache_root
from attn_research.storage import DamagedFileError

if TYPE_CHECKING:
    import pyarrow

CODE_DIRECTORY = Path(__file__).parent
PACKAGES = ("babel", "datasets", "pyarrow")  # what else decides about it


def cached_tables(name: str, make: Callable[[], "dict[str, pyarrow.Table]"]) -> "dict[str, pyarrow.Table]":
    """The tables that `make` draws, or those that the same code drew before under this name."""
    directory = cache_root() / "data" / _key(name)
    with contextlib.suppress(OSError, DamagedFileError):  # they are not there, or not as they were written
        storage.verify(directory)
        return _read(directory)
    tables = make()
    with contextlib.suppress(OSError), storage.new_folder(directory) as draft:  # suppressed: nowhere to keep them
        _write(tables, draft)
    return tables


def _read(directory: Path) -> "dict[str, pyarrow.Table]":
    import pyarrow

    names = (directory / "splits").read_text().splitlines()
    return {name: pyarrow.ipc.open_file(pyarrow.memory_map(str(directory / name))).read_all() for name in names}


def _write(tables: "dict[str, pyarrow.Table]", directory: Path) -> None:
    import pyarrow

    (directory / "splits").write_text("\n".join(tables))
    for name, table in tables.items():
        with pyarrow.ipc.new_file(directory / name, table.schema) as file:
            file.write_table(table)


def _key(name: str) -> str:
    """Other code or other versions may draw something else."""
    sha = hashlib.sha256(f"{name} {platform.python_version()}".encode())
    for package in PACKAGES:
        sha.update(importlib.metadata.version(package).encode())
    for file in (*sorted(CODE_DIRECTORY.rglob("*.py")), Path(storage.__file__)):
        sha.update(file.read_bytes())
    return sha.hexdigest()[:16]
