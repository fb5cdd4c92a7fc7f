"""Signals that ask a process to stop."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ECHO_SECONDS = (
    0.2  # seconds within which a second signal is an echo of the first: a closing terminal sends SIGHUP twice
)


class StopRequested(BaseException):
    """A signal asked for a stop, and everything worth keeping is on disk."""


class StopRequest:
    """Whether a signal has asked for a stop: call it between two steps, and raise `StopRequested` if it says so.

    No exception comes out of a signal handler, since one that is raised in the middle of a library may be lost or do
    harm there. Before the first call there is nothing to keep, and a signal ends the process at once. So does a second
    signal.
    """

    def __init__(self, end: Callable[[int], None]):
        """Args: end: ends the process, given the signal's number, from another thread than the main one."""
        self.number: int | None = None
        self._end, self._was_polled, self._since = end, False, 0.0

    def __call__(self) -> bool:
        self._was_polled = True
        return self.number is not None

    def notify(self, number: int) -> None:
        """Takes note of a signal."""
        if self.number is not None and time.monotonic() - self._since < ECHO_SECONDS:
            return
        if self.number is not None or not self._was_polled:
            self._end(number)
        self.number, self._since = number, time.monotonic()

    @contextlib.contextmanager
    def listen(self) -> Iterator["StopRequest"]:
        """Listens to `SIGNALS`, but not to those that this process was started to ignore.

        A thread listens, since the main one may be in the middle of a long computation.
        """
        old = {number: signal.getsignal(number) for number in SIGNALS}
        old = {number: handler for number, handler in old.items() if handler is not signal.SIG_IGN}
        incoming, outgoing = os.pipe()
        os.set_blocking(outgoing, False)
        thread = threading.Thread(target=self._read_signals, args=(incoming,), daemon=True)
        thread.start()
        before = signal.set_wakeup_fd(outgoing, warn_on_full_buffer=False)
        for number in old:
            signal.signal(number, lambda *_: None)
        try:
            yield self
        finally:
            for number, handler in old.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)
            signal.set_wakeup_fd(before)
            os.write(outgoing, b"\0")
            thread.join()
            os.close(incoming)
            os.close(outgoing)

    def _read_signals(self, incoming: int) -> None:
        while number := os.read(incoming, 1)[0]:
            if number in SIGNALS:
                self.notify(number)


def never_stop() -> bool:
    """Stands in for a `StopRequest` where no signal is listened to."""
    return False
