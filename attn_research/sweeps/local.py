"""A local pool of worker processes. Each has one thread on its own core and executes one run after another."""

import contextlib
import functools
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, NamedTuple, cast

from attn_research.config import Config, digest, flatten, program_config
from attn_research.errors import describe
from attn_research.runs.environment import FAST_ENV
from attn_research.runs.signals import SIGNALS, StopRequested, never_stop
from attn_research.sweeps.execute import write_failure

TARGET = "attn_research.training.loop:run"  # the function that executes a run
GRACE_SECONDS = 30.0  # time for a worker to save a checkpoint and exit before it is killed
POLL = 0.2  # seconds between two calls of `stop`


class Event(NamedTuple):
    """An event of a run: started, report, warning, ended, failed, or busy (another process executes it)."""

    config: Config
    kind: str
    numbers: Mapping[str, Any] = MappingProxyType({})  # of a report: step, steps, loss ...
    error: str = ""  # of a run that failed or is busy; or the text of a warning
    traceback: str = ""  # of a run that failed, with the output of its process
    file: Path | None = None  # of the traceback


def cores() -> Sequence[int | None]:
    """Returns the cores that this process may use; None for each where the system cannot pin processes."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return [None] * (os.cpu_count() or 1)


@contextlib.contextmanager
def pool(
    configs: Iterable[Config],
    runs: Path,
    jobs: int,
    target: str,
    wandb: str = "off",
    group: str | None = None,
    stop: Callable[[], bool] = never_stop,
) -> Iterator[Iterator[Event]]:
    """Executes the runs of `configs` in directories below `runs`, `jobs` at a time, and yields their events.

    A run that fails, or whose process dies, writes `failure.txt` in its directory. The other runs continue. If the
    context ends early, the workers are terminated; the next sweep resumes their runs from the last checkpoint.

    Args:
      target: "module:function" with the signature of `training.loop.run`.
      wandb, group: as in `execute_run`.
      stop: called regularly; if it returns True, the events end with `StopRequested`.
    """
    with _Pool(configs, runs, target, {"wandb": wandb, "group": group}) as workers:
        yield workers.events(jobs, stop)


class RunQueue:
    """The waiting runs, in order. A worker first gets the runs whose program it has compiled."""

    def __init__(self, configs: Iterable[Config]):
        self._programs = {config: program_config(config) for config in configs}
        self._worker_of: dict[Config, int] = {}  # the worker that has compiled a program

    def take(self, worker: int) -> Config | None:
        """Returns the first run whose program this worker or no worker has compiled; otherwise the first run."""
        reserved = (
            config
            for config, program in self._programs.items()
            if self._worker_of.setdefault(program, worker) == worker
        )
        config = next(reserved, next(iter(self._programs), None))
        if config:
            del self._programs[config]
        return config

    def clear(self) -> None:
        """Drops all waiting runs."""
        self._programs.clear()


class _Pool:
    """One thread per worker process: it starts the worker, sends it runs and queues its events."""

    def __init__(self, configs: Iterable[Config], runs: Path, target: str, options: Mapping[str, Any]):
        self.queue, self.runs, self.target, self.options = RunQueue(configs), runs, target, options
        self.event_queue: queue.SimpleQueue[Event | Exception | None] = queue.SimpleQueue()
        self.workers: list[_Worker] = []
        self.threads: list[threading.Thread] = []
        self.stopped, self.lock = False, threading.Lock()

    def __enter__(self) -> "_Pool":
        return self

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.stopped = True
            self.queue.clear()
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            worker.wait_or_kill()
        for thread in self.threads:
            thread.join()
        for worker in self.workers:
            worker.close()

    def events(self, jobs: int, stop: Callable[[], bool]) -> Iterator[Event]:
        available_cores = cores()
        self.threads = [
            threading.Thread(target=self._serve, args=(slot, available_cores[slot % len(available_cores)]), daemon=True)
            for slot in range(jobs)
        ]
        for thread in self.threads:
            thread.start()
        for _ in self.threads:
            for event in iter(functools.partial(self._next_event, stop), None):
                if isinstance(event, Exception):
                    raise event
                yield event

    def _next_event(self, stop: Callable[[], bool]) -> Event | Exception | None:
        while not stop():
            with contextlib.suppress(queue.Empty):
                return self.event_queue.get(timeout=POLL)
        raise StopRequested

    def _serve(self, slot: int, core: int | None) -> None:
        try:
            self._execute_queued(slot, core)
        except Exception as error:  # raised again by the reader of the events
            self.event_queue.put(error)
        finally:
            self.event_queue.put(None)

    def _execute_queued(self, slot: int, core: int | None) -> None:
        """Executes waiting runs, one after another, in one worker until it dies."""
        worker = None
        while config := self._next(slot):
            try:
                worker = worker if worker and worker.alive() else self._start(core)
                if worker is None:
                    return
                for event in worker.execute(config, {"directory": str(self.runs / digest(config)), **self.options}):
                    self._publish(event)
            except Exception as error:  # of this process, for example if it cannot start another
                self._publish(Event(config, "failed", error=describe(error), traceback=traceback.format_exc()))
                if worker:
                    worker.terminate()
                    worker.wait_or_kill()

    def _next(self, slot: int) -> Config | None:
        with self.lock:
            return self.queue.take(slot)

    def _start(self, core: int | None) -> "_Worker | None":
        with self.lock:
            if self.stopped:
                return None
            self.workers.append(_Worker(self.target, core))
            return self.workers[-1]

    def _publish(self, event: Event) -> None:
        if self.stopped:
            return
        if event.kind == "failed":
            file = write_failure(self.runs / digest(event.config), f"{event.error}\n\n{event.traceback}")
            event = event._replace(file=file)
        self.event_queue.put(event)


class _Worker:
    """A worker process and its output."""

    def __init__(self, target: str, core: int | None):
        command = [sys.executable, "-P", "-X", "faulthandler", "-m", "attn_research.sweeps.worker", target]
        self.log_file = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process)
        try:
            self.process = subprocess.Popen(
                command if core is None else [*command, str(core)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.log_file,
                env=_environment(),
                encoding="utf-8",
                start_new_session=True,  # Ctrl-C reaches only the sweep; child processes end with a worker
            )
        except OSError:
            self.log_file.close()
            raise
        # Both are pipes.
        self.input, self.output = cast(IO[str], self.process.stdin), cast(IO[str], self.process.stdout)

    def alive(self) -> bool:
        return self.process.poll() is None

    def execute(self, config: Config, options: Mapping[str, Any]) -> Iterator[Event]:
        """Yields the events of one run; the last one is its end."""
        self.log_start = os.fstat(self.log_file.fileno()).st_size
        yield Event(config, "started")
        self._send({"config": flatten(config), **options})
        event = None
        for event in self._receive(config):
            if event.kind in ("ended", "busy"):
                yield event
                return
            if event.kind in ("report", "warning"):
                yield event
        self.wait_or_kill()
        if event is None or event.kind != "failed":
            event = Event(config, "failed", error=self._exit_message())
        yield event._replace(traceback=event.traceback + "\n" + self._read_log())

    def _send(self, task: dict[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError):  # the worker has died; `_receive` notices it
            print(json.dumps(task), file=self.input, flush=True)

    def _receive(self, config: Config) -> Iterator[Event]:
        for line in self.output:
            if line.endswith("\n"):  # otherwise it was killed during a message
                yield Event(config, **json.loads(line))

    def _exit_message(self) -> str:
        status = self.process.wait()
        number = -status if status < 0 else status - 128  # 128 + number: the worker handled the signal
        if status >= 0 and number not in SIGNALS:
            return f"its process ended with status {status}"
        hint = " (by a user, or by the system because memory ran out)" if number == signal.SIGKILL else ""
        return f"its process was ended by {signal.Signals(number).name}{hint}"

    def _read_log(self) -> str:
        self.log_file.seek(self.log_start)
        return self.log_file.read().decode(errors="replace")

    def terminate(self) -> None:
        if self.alive():
            os.killpg(self.process.pid, signal.SIGTERM)

    def wait_or_kill(self) -> None:
        """Waits for the process to exit and kills it after `GRACE_SECONDS`."""
        try:
            self.process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def close(self) -> None:
        """Closes the pipes, after the last read."""
        with contextlib.suppress(BrokenPipeError):
            self.input.close()
        self.output.close()
        self.log_file.close()


def _environment() -> dict[str, str]:
    """Returns the environment of a worker: `FAST_ENV`, this process's variables and import path, and one thread."""
    imports = os.pathsep.join(filter(None, sys.path))
    return FAST_ENV | os.environ | {"PYTHONPATH": imports, "OMP_NUM_THREADS": "1"}
