"""Handling of SIGINT, SIGTERM and SIGHUP: a run stops between two steps, after a checkpoint."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ECHO_SECONDS = 0.2  # a second signal within this time is ignored: a closing terminal sends SIGHUP twice


class StopRequested(BaseException):
    """The run stops because of a signal. Its state is on disk."""


class StopRequest:
    """Tells whether a signal has asked for a stop. Call it between two steps, and raise `StopRequested` if it is True.

    The signal handler raises nothing, because an exception in the middle of a library may be lost or do harm there.
    Before the first call there is no state to save, so a signal ends the process immediately. So does a second signal.
    """

    def __init__(self, end: Callable[[int], None]):
        """Stores `end`, which ends the process, given the number of the signal. Another thread calls it."""
        self.number: int | None = None
        self._end, self._was_polled, self._since = end, False, 0.0

    def __call__(self) -> bool:
        self._was_polled = True
        return self.number is not None

    def notify(self, number: int) -> None:
        """Handles a signal."""
        if self.number is not None and time.monotonic() - self._since < ECHO_SECONDS:
            return
        if self.number is not None or not self._was_polled:
            self._end(number)
        self.number, self._since = number, time.monotonic()

    @contextlib.contextmanager
    def listen(self) -> Iterator["StopRequest"]:
        """Listens to `SIGNALS`, except those that the process was started to ignore.

        A thread listens, because the main thread may be in a long computation.
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
    """Replaces a `StopRequest` where no signals are handled."""
    return False
