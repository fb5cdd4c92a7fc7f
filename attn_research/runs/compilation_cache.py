"""Compiled programs that outlive the process, so that a run like an earlier one starts at once."""

import contextlib
import hashlib
from pathlib import Path

from attn_research import storage
from attn_research.cache import cache_root
from attn_research.runs.environment import threads

DIGEST = hashlib.sha256().digest_size


def cache_directory() -> Path:
    """Where compiled programs are kept.

    A program compiled for two threads is another one than for one, and jax's keys do not tell them apart.
    """
    return cache_root() / "xla" / f"threads-{threads()}"


class CheckedCache:
    """Compiled programs in files, each behind its checksum; what is damaged is compiled again and replaced.

    It stands in for jax's own one, which warns of a damaged entry in every process and never replaces it.
    """

    def __init__(self, path: str):
        self._path = Path(path)

    def get(self, key: str) -> bytes | None:
        with contextlib.suppress(OSError):
            data = self._file(key).read_bytes()
            if hashlib.sha256(data[DIGEST:]).digest() == data[:DIGEST]:
                return data[DIGEST:]
        return None

    def put(self, key: str, value: bytes) -> None:
        with contextlib.suppress(OSError):  # nowhere to keep it
            storage.write(self._file(key), hashlib.sha256(value).digest() + value, synced=False)

    def _file(self, key: str) -> Path:
        return self._path / f"{key}-checked"


def enable_compilation_cache() -> None:
    """Keep every program that this process compiles, and use those kept before. Call it before anything compiles."""
    import jax
    from jax._src import compilation_cache

    if jax.config.jax_compilation_cache_max_size == -1:  # else jax's own one drops what is too much
        compilation_cache.get_file_cache = lambda path: (CheckedCache(path), path)
    jax.config.update("jax_compilation_cache_dir", str(cache_directory()))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
