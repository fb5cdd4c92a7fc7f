"""Measures the time of each part of a run and the load of other processes."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

IDLE_BELOW = 0.06  # a machine is idle if other processes use fewer cores


class Clock:
    """Wall-clock seconds by part. The time of a nested part does not count for the outer part.

    >>> clock = Clock("train")
    >>> with clock.part("evaluate"), clock.part("compile"):
    ...     pass
    >>> sorted(clock.seconds)
    ['compile', 'evaluate', 'train']
    """

    def __init__(self, part: str):
        self.seconds: defaultdict[str, float] = defaultdict(float, {part: 0.0})
        self._part, self._since = part, time.perf_counter()
        self._start, self._other_seconds = self._since, _other_processes_seconds()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Counts the time inside the context for `name`."""
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
        """Wall-clock seconds since the clock was created."""
        return time.perf_counter() - self._start

    @property
    def other_cores(self) -> float:
        """The average number of cores that all other processes used together."""
        return (_other_processes_seconds() - self._other_seconds) / self.total

    @property
    def idle(self) -> bool:
        """Whether other processes used almost no processor time."""
        return self.other_cores < IDLE_BELOW


def _other_processes_seconds() -> float:
    """Returns the processor seconds of all other processes, without ended children of this one."""
    times, own = psutil.cpu_times(), psutil.Process().cpu_times()
    busy = times.user + times.system + getattr(times, "nice", 0.0)
    return busy - own.user - own.system - own.children_user - own.children_system
