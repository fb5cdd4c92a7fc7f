"""Where a run's time goes, and whether anything else was using the machine meanwhile."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

IDLE_BELOW = 0.06  # cores in use by others up to which a machine counts as idle


class Clock:
    """Wall seconds by what was being done; a part inside another one counts for itself alone.

    >>> clock = Clock("train")
    >>> with clock.part("evaluate"), clock.part("compile"):
    ...     pass
    >>> sorted(clock.seconds)
    ['compile', 'evaluate', 'train']
    """

    def __init__(self, part: str):
        self.seconds = Counter({part: 0.0})
        self._part, self._since = part, time.perf_counter()
        self._start, self._other_seconds = self._since, _other_processes_seconds()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Counts the time inside for `name`."""
        outer = self._switch_to(name)
        try:
            yield
        finally:
            self._switch_to(outer)

    def _switch_to(self, name: str) -> str:
        now = time.perf_counter()
        self.seconds[self._part] += now - self._since
        outer, self._part, self._since = self._part, name, now
        return outer

    @property
    def total(self) -> float:
        """Wall seconds since the clock was made."""
        return time.perf_counter() - self._start

    @property
    def other_cores(self) -> float:
        """Cores that all other processes together used on average."""
        return (_other_processes_seconds() - self._other_seconds) / self.total

    @property
    def idle(self) -> bool:
        """Whether they used next to no processor time."""
        return self.other_cores < IDLE_BELOW


def _other_processes_seconds() -> float:
    """Processor seconds that other processes have used; children that have ended are no others."""
    times, own = psutil.cpu_times(), psutil.Process().cpu_times()
    busy = times.user + times.system + getattr(times, "nice", 0.0)
    return busy - own.user - own.system - own.children_user - own.children_system
