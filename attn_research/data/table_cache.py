"""A cache on disk for the tables of generated tasks, so that later processes need not draw them again."""

import contextlib
import hashlib
import importlib.metadata
import platform
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from attn_research import storage
from attn_research.storage import DamagedFileError, cache_root

if TYPE_CHECKING:
    import pyarrow

CODE_DIRECTORY = Path(__file__).parent
PACKAGES = ("babel", "datasets", "pyarrow")  # their versions are part of the key


def cached_tables(name: str, make: Callable[[], "dict[str, pyarrow.Table]"]) -> "dict[str, pyarrow.Table]":
    """Returns the tables that are cached under `name`; on a miss, calls `make` and caches its tables.

    A damaged entry is a miss. If the cache cannot be written, the tables are returned all the same.
    """
    directory = cache_root() / "data" / _key(name)
    with contextlib.suppress(OSError, DamagedFileError):
        storage.verify(directory)
        return _read(directory)
    tables = make()
    with contextlib.suppress(OSError), storage.new_folder(directory) as draft:
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
    """Hashes the name, the versions and the code, since other code or versions may draw other items."""
    sha = hashlib.sha256(f"{name} {platform.python_version()}".encode())
    for package in PACKAGES:
        sha.update(importlib.metadata.version(package).encode())
    for file in (*sorted(CODE_DIRECTORY.rglob("*.py")), Path(storage.__file__)):
        sha.update(file.read_bytes())
    return sha.hexdigest()[:16]
