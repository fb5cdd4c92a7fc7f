"""One process of a sweep: `python -m attn_research.sweeps.worker MODULE:FUNCTION [CORE]`.

It reads runs from standard input and tells on standard output how they go, a JSON object a line in both directions. It
makes one run after another, so that imports and compiled programs are shared, and ends at the first that fails.
"""

import json
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attn_research.runs.signals import Stopped, StopRequest


def main(target: str, core: str | None = None) -> None:
    """Makes runs with the function `target` on one core until standard input is closed."""
    if core is not None:
        os.sched_setaffinity(0, {int(core)})
    with StopRequest(lambda number: os._exit(128 + number)).listening() as stop:
        say = _channel()
        tasks = _tasks()
        outcome: dict[str, Any] = {}
        try:
            while outcome.get("kind") != "failed":
                outcome = _outcome(target, tasks.get(), say, stop)
                say(outcome)
        except Stopped:
            os._exit(128 + stop.number)
        sys.stdout.flush()
        os._exit(1)


def _channel() -> Callable[[dict[str, Any]], None]:
    """Standard output for messages alone: what a run prints goes to standard error."""
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(message: dict[str, Any]) -> None:
        print(json.dumps(message, default=float), file=stream, flush=True)

    return say


def _tasks() -> queue.SimpleQueue:
    """The runs asked for; this process ends with the one that asks, in the middle of a run too."""
    tasks: queue.SimpleQueue = queue.SimpleQueue()

    def listen() -> None:
        for line in sys.stdin:
            tasks.put(json.loads(line))
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    return tasks


def _outcome(
    target: str, task: dict[str, Any], say: Callable[[dict[str, Any]], None], stop: StopRequest
) -> dict[str, Any]:
    from attn_research.errors import describe
    from attn_research.sweeps.lock import Busy
    from attn_research.sweeps.warning_handler import warnings_to

    try:
        with warnings_to(lambda text: say({"kind": "warning", "error": text})):
            _make(target, task, say, stop)
        return {"kind": "ended"}
    except Busy as error:
        return {"kind": "busy", "error": str(error)}
    except Exception as error:
        return {"kind": "failed", "error": describe(error), "traceback": traceback.format_exc()}


def _make(target: str, task: dict[str, Any], say: Callable[[dict[str, Any]], None], stop: StopRequest) -> None:
    from attn_research.config import from_flat
    from attn_research.runs import records
    from attn_research.sweeps.lock import hold
    from attn_research.sweeps.make import make

    config, directory = from_flat(task["config"]), Path(task["directory"])
    with hold(directory):
        if records.is_done(directory, config):  # by another process, since it was asked for
            return

        def report(numbers: dict[str, Any]) -> None:
            say({"kind": "report", "numbers": numbers})

        make(target, config, directory, report, task["wandb"], task["group"], stop)


if __name__ == "__main__":
    main(*sys.argv[1:])
