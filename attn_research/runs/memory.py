"""The peak memory of a run."""

import contextlib
import re
import resource
import sys
from pathlib import Path

import jax

CLEAR_PEAK = "5"  # what resets the peak of a process, as `man 5 proc_pid_clear_refs` says


def reset_peak() -> None:
    """Resets the peak memory of this process, where the system can: a worker executes several runs."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text(CLEAR_PEAK)


def peak_memory() -> int:
    """Returns the peak in bytes: of the device's memory, or on the CPU of the resident memory of this process.

    The resident memory includes Python, JAX and the compiled programs.
    """
    statistics = jax.local_devices()[0].memory_stats()
    if statistics and "peak_bytes_in_use" in statistics:
        return statistics["peak_bytes_in_use"]
    with contextlib.suppress(OSError):
        if found := re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text()):
            return 1024 * int(found[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
