"""The persistent compilation cache: a program is compiled once per machine, not once per process."""

import contextlib
import hashlib
from pathlib import Path

from attn_research import storage
from attn_research.runs.environment import threads
from attn_research.storage import cache_root

DIGEST = hashlib.sha256().digest_size


def cache_directory() -> Path:
    """Returns the folder of the compiled programs for this number of threads.

    Programs differ by the number of threads, but jax's cache keys do not.
    """
    return cache_root() / "xla" / f"threads-{threads()}"


class CheckedCache:
    """A file cache with a checksum in each entry. A damaged entry counts as missing, so it is compiled again.

    It replaces jax's file cache, which warns about a damaged entry in every process and never replaces it.
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
        with contextlib.suppress(OSError):  # the cache is not writable
            storage.write(self._file(key), hashlib.sha256(value).digest() + value, synced=False)

    def _file(self, key: str) -> Path:
        return self._path / f"{key}-checked"


def enable_compilation_cache() -> None:
    """Enables the persistent cache for this process. Call it before anything compiles."""
    import jax
    from jax._src import compilation_cache

    max_size = jax.config.jax_compilation_cache_max_size  # type: ignore[attr-defined]  # jax adds it at run time
    if max_size == -1:  # with a size limit, jax's own cache must evict entries
        # CheckedCache has the methods of jax's CacheInterface, but importing that class would import jax.
        compilation_cache.get_file_cache = lambda path: (CheckedCache(path), path)  # type: ignore[assignment, return-value]
    jax.config.update("jax_compilation_cache_dir", str(cache_directory()))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
