"""A side in a process of its own: `python -m benchmarks.server MODULE:FUNCTION DIRECTORY ARGUMENTS`.

It sets the side up and tells what it found out; then, for each number of seconds on standard input, it works that long
and tells how fast it was and how much everything else used the machine meanwhile. Both are a JSON object a line.
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
from benchmarks.question import Ready, Work

FULL_TRACEBACK = {"JAX_TRACEBACK_FILTERING": "off"}  # the error is then the last line
LONG = 10.0  # seconds of a unit
ROOT = Path(__file__).resolve().parents[1]


def main(target: str, directory: str, arguments: str) -> None:
    """Serves until standard input is closed."""
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer

    def say(answer: Mapping[str, Any]) -> None:
        print(json.dumps(answer), file=stream, flush=True)

    module, _, function = target.partition(":")
    try:
        ready: Ready = getattr(importlib.import_module(module), function)(Path(directory), **json.loads(arguments))
    except ValueError as error:
        say({"error": str(error)})
        return
    say({"facts": ready.facts, "timed": ready.run is not None})
    for line in sys.stdin:
        say(block(ready.run, float(line)))


def block(run: Callable[[], Any], seconds: float) -> dict[str, Any]:
    """Runs a unit of work again and again for so long, once at least.

    A first unit does not count, since it finds the caches full of what others did meanwhile, unless it takes so long
    that this is nothing.
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
    return {"seconds": clock.total / units, "units": units, "others": round(clock.others, 3)}


def peak_bytes(whose: int = resource.RUSAGE_SELF) -> int:
    """The most memory that this process has had, or with RUSAGE_CHILDREN the largest of those that it has ended."""
    return resource.getrusage(whose).ru_maxrss * 1024


class Server:
    """The other end: starts the process of a side, and ends it with the context."""

    def __init__(self, name: str, work: Work, directory: Path, environment: Mapping[str, str]):
        words = [sys.executable, "-m", "benchmarks.server", work.target, str(directory), json.dumps(work.arguments)]
        self.name = name
        self.printed = tempfile.TemporaryFile()  # noqa: SIM115 (as long as the process)
        self.process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.printed,
            cwd=ROOT,
            env=os.environ | FULL_TRACEBACK | work.environment | environment,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C reaches the runner alone, which ends a side with its own children
        )

    def __enter__(self) -> "Server":
        try:
            ready = self._answer()
        except BaseException:
            self.__exit__()
            raise
        self.facts, self.timed = ready["facts"], ready["timed"]
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait()
        self.process.stdout.close()
        self.printed.close()

    def block(self, seconds: float) -> dict[str, Any]:
        """One block of work."""
        print(seconds, file=self.process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        answer = json.loads(line) if line.endswith("\n") else {"error": self._end_in_words()}
        if "error" in answer:
            raise ValueError(f"{self.name}: {answer['error']}")
        return answer

    def _end_in_words(self) -> str:
        status = self.process.wait()
        self.printed.seek(0)
        lines = self.printed.read().decode(errors="replace").split("\n")
        said = [line for line in lines if line.strip()][-1:]
        return f"its process ended with status {status}; {' '.join(said)}".removesuffix("; ")


if __name__ == "__main__":
    main(*sys.argv[1:])
