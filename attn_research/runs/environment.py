"""Where and with what a run was made: everything beside its config that can change its numbers."""

import functools
import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PACKAGES = ("attn_research", "jax", "jaxlib", "flax", "optax", "numpy")
# Whatever else stands in the checkout, tables and READMEs, cannot change a run.
RESULT_PATHS = ("attn_research", "configs", "experiments/*.py", "setup.cfg")
# What a process that trains is started with, unless the user has set it.
FAST_ENV = {
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",  # huge pages for large arrays: a tenth off a large step
    # A third less time to compile, and no slower a step; operations one after another, each with all cores: up to a
    # twelfth off a step, a third off its memory. A jaxlib that does not know a flag ends the process: see setup.cfg.
    "XLA_FLAGS": "--xla_backend_optimization_level=1 --xla_cpu_scheduler_type=CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED",
}


def restart_process() -> None:
    """Puts this program, begun anew with `FAST_ENV`, in the place of this process, if it was begun without."""
    if os.name == "posix" and not FAST_ENV.keys() <= os.environ.keys():
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], FAST_ENV | os.environ)


def environment() -> dict[str, Any]:
    """Commit, dirty, versions, device, machine and threads, as they stand in a record."""
    import jax

    device = jax.devices()[0]
    has_name = device.device_kind not in ("", device.platform)
    return _package_git_state() | {
        "versions": versions(),
        "device": f"{device.platform} {device.device_kind}" if has_name else device.platform,
        "machine": machine(),
        "threads": threads(),
    }


def versions() -> dict[str, str | None]:
    """Versions of the packages that compute; None for one that is used without being installed."""
    return {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def threads() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> str:
    """The processor's model where it can be known, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


@functools.cache
def _package_git_state() -> dict[str, Any]:
    return git_state(Path(__file__).resolve().parents[2])


def git_state(directory: Path, decisive: Sequence[str] = RESULT_PATHS) -> dict[str, Any]:
    """The git commit at `directory`, and whether files that decide numbers differ from it; both None if it is none."""
    top = _git(directory, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != directory.resolve():
        return {"commit": None, "dirty": None}
    changes = _git(directory, "status", "--porcelain", "--", *decisive)
    return {"commit": _git(directory, "rev-parse", "HEAD"), "dirty": bool(changes)}


def _git(directory: Path, *words: str) -> str | None:
    try:
        result = subprocess.run(["git", "-C", str(directory), *words], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return result.stdout.strip()
