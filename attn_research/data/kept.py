"""Generated data that outlives the process, so that the next run need not draw it again."""

import contextlib
import hashlib
import importlib.metadata
import platform
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attn_research.runs.environment import cache_root

CODE = Path(__file__).parent
PACKAGES = ("babel", "datasets")  # what else decides about it


def kept(name: str, make: Callable[[], Any]) -> Any:
    """The DatasetDict that `make` draws, or what the same code drew before under this name."""
    import datasets

    directory = cache_root() / "data" / _key(name)
    try:
        return datasets.load_from_disk(directory)
    except (OSError, ValueError):  # it is not there, or not whole
        made = make()
    with contextlib.suppress(OSError):  # nowhere to keep it, or another process was first
        directory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory.parent) as draft:
            _write(made, Path(draft) / "data")
            (Path(draft) / "data").rename(directory)
    return made


def _write(made: Any, directory: Path) -> None:
    import datasets

    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    made.save_to_disk(directory)
    if shown:
        datasets.enable_progress_bars()


def _key(name: str) -> str:
    sha = hashlib.sha256(f"{name} {platform.python_version()}".encode())
    for package in PACKAGES:
        sha.update(importlib.metadata.version(package).encode())
    for file in sorted(CODE.rglob("*.py")):
        sha.update(file.read_bytes())
    return sha.hexdigest()[:16]
