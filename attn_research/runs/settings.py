"""Settings beside the config that change a run's numbers: flags of XLA, options of jax, threads and devices."""

import os
from collections.abc import Mapping
from typing import Any

from attn_research.runs.environment import FAST_ENV, machine, threads

# Options of jax, set by JAX_* or by `jax.config.update`.
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
VARIABLES = ("NVIDIA_TF32_OVERRIDE", "TF_CUDNN_DETERMINISTIC", "NPROC", "PJRT_NPROC", "LIBTPU_INIT_ARGS")
IGNORED_FLAGS = (
    "--xla_dump",
    "--xla_hlo_profile",
    "--xla_gpu_cuda_data_dir",
)  # flags that only write or look something up
DEVICE_SETTINGS = ("platform", "devices")  # what is known only once jax has taken the devices

Settings = dict[str, Any]


def settings() -> Settings:
    """This process's."""
    import jax

    result = _common(os.environ.get("XLA_FLAGS", ""), threads())
    return result | {"platform": jax.default_backend(), "devices": jax.device_count()}


def worker_settings(pinned: bool) -> Settings:
    """Those that a worker of a sweep will have, without `DEVICE_SETTINGS`; `pinned`: to a core of its own."""
    return _common((FAST_ENV | os.environ)["XLA_FLAGS"], 1 if pinned else threads())


def _common(xla_flags: str, threads: int) -> Settings:
    import jax

    options = {name: _plain(getattr(jax.config, name, None)) for name in JAX_OPTIONS}
    variables = {name: os.environ[name] for name in VARIABLES if name in os.environ}
    return {"threads": threads, "processor": machine()} | options | variables | _flags(xla_flags)


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _flags(text: str) -> Mapping[str, str]:
    """`--xla_a=1 --xla_b` as a dict; of a flag that is given twice the last one counts."""
    pairs = (word.partition("=") for word in text.split())
    return {name: value or "set" for name, _, value in pairs if not name.startswith(IGNORED_FLAGS)}
