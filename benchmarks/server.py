"""Runs a side in its own process: `python -m benchmarks.server MODULE:FUNCTION DIRECTORY ARGUMENTS`.

The process sets up the side and prints its facts. Then it reads numbers of seconds from standard input. For each, it
works that long and prints the time per unit and the CPU use of other processes. Every answer is one line of JSON.
"""

import contextlib
import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attn_research.runs.clock import Clock
from benchmarks.questions import PreparedSide, SideSpec

FULL_TRACEBACK = {"JAX_TRACEBACK_FILTERING": "off"}  # makes the error the last line
LONG = 10.0  # seconds; a unit that takes longer needs no warm-up
ROOT = Path(__file__).resolve().parents[1]


def main(target: str, directory: str, arguments: str) -> None:
    """Serves until standard input is closed."""
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # libraries print to standard error, so that standard output has answers only

    def send(answer: Mapping[str, Any]) -> None:
        print(json.dumps(answer), file=stream, flush=True)

    module, _, function = target.partition(":")
    try:
        prepared: PreparedSide = getattr(importlib.import_module(module), function)(
            Path(directory), **json.loads(arguments)
        )
    except ValueError as error:
        send({"error": str(error)})
        return
    send({"facts": prepared.facts, "timed": prepared.run is not None})
    for line in sys.stdin:
        send(block(prepared.run, float(line)))


def block(run: Callable[[], Any], seconds: float) -> dict[str, Any]:
    """Repeats a unit of work for `seconds`, at least once.

    The first unit is a warm-up and does not count, because other sides have filled the CPU caches meanwhile. It counts
    if it takes longer than LONG.
    """
    clock, units = Clock("block"), 0
    run()
    if clock.total < LONG:
        clock = Clock("block")
    else:
        units = 1
    while not units or clock.total < seconds:
        run()
        units += 1
    return {"seconds": clock.total / units, "units": units, "others": round(clock.other_cores, 3)}


def peak_bytes(whose: int = resource.RUSAGE_SELF) -> int:
    """Returns the peak memory of this process, or with RUSAGE_CHILDREN of its largest child that has ended."""
    return resource.getrusage(whose).ru_maxrss * 1024


class Server:
    """A context that starts the process of a side, and ends it on exit."""

    def __init__(self, name: str, spec: SideSpec, directory: Path, environment: Mapping[str, str]):
        command = [sys.executable, "-m", "benchmarks.server", spec.target, str(directory), json.dumps(spec.arguments)]
        self.name = name
        self.log_file = tempfile.TemporaryFile()  # noqa: SIM115 (open as long as the process)
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log_file,
            cwd=ROOT,
            env=os.environ | FULL_TRACEBACK | spec.environment | environment,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C reaches the runner alone; it ends the side and its children
        )

    def __enter__(self) -> "Server":
        try:
            prepared = self._answer()
        except BaseException:
            self.__exit__()
            raise
        self.facts, self.timed = prepared["facts"], prepared["timed"]
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait()
        self.process.stdout.close()
        self.log_file.close()

    def block(self, seconds: float) -> dict[str, Any]:
        """Runs one block of work."""
        print(seconds, file=self.process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        answer = json.loads(line) if line.endswith("\n") else {"error": self._exit_message()}
        if "error" in answer:
            raise ValueError(f"{self.name}: {answer['error']}")
        return answer

    def _exit_message(self) -> str:
        status = self.process.wait()
        self.log_file.seek(0)
        lines = self.log_file.read().decode(errors="replace").split("\n")
        last_line = [line for line in lines if line.strip()][-1:]
        return f"its process ended with status {status}; {' '.join(last_line)}".removesuffix("; ")


if __name__ == "__main__":
    main(*sys.argv[1:])
