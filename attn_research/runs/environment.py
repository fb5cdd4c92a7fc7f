"""The environment of a run: commit, versions, machine, and every setting beside the config that changes numbers."""

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
RESULT_PATHS = ("attn_research", "configs", "experiments/*.py", "setup.cfg")  # files that can change a run
# Environment variables of a process that trains, unless the user has set them.
FAST_ENV = {
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",  # huge pages for large arrays: large steps take 10 % less time
    # The first flag shortens compilation by a third and slows no step. The second runs operations one after another,
    # each on all cores: up to 8 % less time and a third less memory. An unknown flag ends the process: setup.cfg
    # therefore bounds the version of jaxlib.
    "XLA_FLAGS": "--xla_backend_optimization_level=1 --xla_cpu_scheduler_type=CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED",
}
# Options of jax that change numbers, set by JAX_* or by `jax.config.update`.
JAX_OPTIONS = (
    "jax_allow_f16_reductions",
    "jax_compiler_enable_remat_pass",
    "jax_default_dtype_bits",
    "jax_default_matmul_precision",
    "jax_default_prng_impl",
    "jax_disable_jit",
    "jax_disable_most_optimizations",
    "jax_enable_custom_prng",
    "jax_enable_x64",
    "jax_exec_time_optimization_effort",
    "jax_explicit_x64_dtypes",
    "jax_high_dynamic_range_gumbel",
    "jax_memory_fitting_effort",
    "jax_memory_fitting_level",
    "jax_num_cpu_devices",
    "jax_numpy_dtype_promotion",
    "jax_optimization_level",
    "jax_random_seed_offset",
    "jax_softmax_custom_jvp",
    "jax_threefry_gpu_kernel_lowering",
    "jax_threefry_partitionable",
    "jax_use_magma",
    "jax_use_shardy_partitioner",
)
VARIABLES = (
    "NVIDIA_TF32_OVERRIDE",
    "TF_CUDNN_DETERMINISTIC",
    "NPROC",
    "PJRT_NPROC",
    "LIBTPU_INIT_ARGS",
    "ATTN_RESEARCH_SCAN",
)
IGNORED_FLAGS = ("--xla_dump", "--xla_hlo_profile", "--xla_gpu_cuda_data_dir")  # change no numbers
DEVICE_SETTINGS = ("platform", "devices")  # known only after jax has initialized its devices

Settings = dict[str, Any]


def restart_process() -> None:
    """Replaces this process by a new start of the program with `FAST_ENV`, unless `FAST_ENV` is set already."""
    if os.name == "posix" and not FAST_ENV.keys() <= os.environ.keys():
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], FAST_ENV | os.environ)


def environment() -> dict[str, Any]:
    """Returns commit, dirty, versions, device, machine and threads for a record."""
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
    """Returns the versions of Python and `PACKAGES`; None for a package that is not installed."""
    return dict(_versions())


@functools.cache
def _versions() -> dict[str, str | None]:
    return {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def threads() -> int:
    """Returns the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> str:
    """Returns the model of the processor, or its architecture if the model is unknown."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


@functools.cache
def _package_git_state() -> dict[str, Any]:
    return git_state(Path(__file__).resolve().parents[2])


def git_state(directory: Path, result_paths: Sequence[str] = RESULT_PATHS) -> dict[str, Any]:
    """Returns the git commit of `directory` and whether `result_paths` differ from it; None outside a clone."""
    top = _git(directory, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != directory.resolve():
        return {"commit": None, "dirty": None}
    changes = _git(directory, "status", "--porcelain", "--", *result_paths)
    return {"commit": _git(directory, "rev-parse", "HEAD"), "dirty": bool(changes)}


def _git(directory: Path, *arguments: str) -> str | None:
    try:
        result = subprocess.run(["git", "-C", str(directory), *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return result.stdout.strip()


def settings() -> Settings:
    """Returns the settings of this process."""
    import jax

    result = _common_settings(os.environ.get("XLA_FLAGS", ""), threads())
    return result | {"platform": jax.default_backend(), "devices": jax.device_count()}


def worker_settings(pinned: bool) -> Settings:
    """Returns the settings of a sweep's worker without `DEVICE_SETTINGS`.

    Args:
      pinned: whether the worker has a core of its own.
    """
    return _common_settings((FAST_ENV | os.environ)["XLA_FLAGS"], 1 if pinned else threads())


def _common_settings(xla_flags: str, threads: int) -> Settings:
    import jax

    options = {name: _to_json(getattr(jax.config, name, None)) for name in JAX_OPTIONS}
    variables = {name: os.environ[name] for name in VARIABLES if name in os.environ}
    return {"threads": threads, "processor": machine()} | options | variables | _parse_flags(xla_flags)


def _to_json(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _parse_flags(text: str) -> dict[str, str]:
    """Parses `--xla_a=1 --xla_b`. If a flag is set twice, the last value wins."""
    pairs = (word.partition("=") for word in text.split())
    return {name: value or "set" for name, _, value in pairs if not name.startswith(IGNORED_FLAGS)}
