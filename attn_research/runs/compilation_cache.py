"""Compiled programs that outlive the process, so that a run like an earlier one starts at once."""

from pathlib import Path

from attn_research.cache import cache_root
from attn_research.runs.environment import threads


def cache_directory() -> Path:
    """Where compiled programs are kept.

    A program compiled for two threads is another one than for one, and jax's keys do not tell them apart.
    """
    return cache_root() / "xla" / f"threads-{threads()}"


def enable_compilation_cache() -> None:
    """Keep every program that this process compiles, and use those kept before. Call it before anything compiles."""
    import jax

    jax.config.update("jax_compilation_cache_dir", str(cache_directory()))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
