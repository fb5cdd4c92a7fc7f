"""Compiled programs that outlive the process, so that a run like an earlier one starts at once."""

import os
from pathlib import Path

from attn_research.runs.environment import threads


def cache_directory() -> Path:
    """Where compiled programs are kept: below $ATTN_RESEARCH_CACHE, else $XDG_CACHE_HOME, else ~/.cache.

    A program compiled for two threads is another one than for one, and jax's keys do not tell them apart.
    """
    chosen, shared = os.environ.get("ATTN_RESEARCH_CACHE"), os.environ.get("XDG_CACHE_HOME")
    root = Path(chosen) if chosen else Path(shared or Path.home() / ".cache") / "attn-research"
    return root / "xla" / f"threads-{threads()}"


def enable_compilation_cache() -> None:
    """Keep every program that this process compiles, and use those kept before. Call it before anything compiles."""
    import jax

    jax.config.update("jax_compilation_cache_dir", str(cache_directory()))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
