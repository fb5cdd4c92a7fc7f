"""Where a run's time goes, and whether anything else was using the machine meanwhile."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

QUIET = 0.06  # cores in use by others up to which a machine counts as idle


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
        self._began, self._others = self._since, _others()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Counts the time inside for `name`."""
        outer = self._turn_to(name)
        try:
            yield
        finally:
            self._turn_to(outer)

    def _turn_to(self, name: str) -> str:
        now = time.perf_counter()
        self.seconds[self._part] += now - self._since
        outer, self._part, self._since = self._part, name, now
        return outer

    @property
    def total(self) -> float:
        """Wall seconds since the clock was made."""
        return time.perf_counter() - self._began

    @property
    def others(self) -> float:
        """Cores that all other processes together used on average."""
        return (_others() - self._others) / self.total

    @property
    def idle(self) -> bool:
        """Whether they used next to no processor time."""
        return self.others < QUIET


def _others() -> float:
    """Processor seconds that other processes have used; children that have ended are no others."""
    times, own = psutil.cpu_times(), psutil.Process().cpu_times()
    busy = times.user + times.system + getattr(times, "nice", 0.0)
    return busy - own.user - own.system - own.children_user - own.children_system
