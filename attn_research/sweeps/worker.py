"""One process of a sweep: `python -m attn_research.sweeps.worker MODULE:FUNCTION [CORE]`.

It reads runs from standard input and writes their events to standard output, one JSON object per line. It executes one
run after another, so that they share imports and compiled programs, and exits after the first failure.
"""

import functools
import json
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO, cast

from attn_research.runs.signals import StopRequest, StopRequested

Send = Callable[[dict[str, Any]], None]


def main(target: str, core: str | None = None) -> None:
    """Executes runs with the function `target`, on one core, until standard input is closed."""
    if core is not None:
        os.sched_setaffinity(0, {int(core)})
    with StopRequest(lambda number: os._exit(128 + number)).listen() as stop:
        send = _open_channel()
        tasks = _start_task_queue()
        outcome: dict[str, Any] = {}
        try:
            while outcome.get("kind") != "failed":
                outcome = _run_task(target, tasks.get(), send, stop)
                send(outcome)
        except StopRequested:
            os._exit(128 + cast(int, stop.number))  # a signal has set it
        sys.stdout.flush()
        os._exit(1)


def _open_channel() -> Send:
    """Reserves standard output for messages and redirects all other output to standard error."""
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return functools.partial(_write_message, stream)


def _write_message(stream: TextIO, message: dict[str, Any]) -> None:
    print(json.dumps(message, default=float), file=stream, flush=True)


def _start_task_queue() -> queue.SimpleQueue:
    """Returns a queue of the requested runs. When standard input closes, the process exits, even during a run."""
    tasks: queue.SimpleQueue = queue.SimpleQueue()
    threading.Thread(target=_read_tasks, args=(tasks,), daemon=True).start()
    return tasks


def _read_tasks(tasks: queue.SimpleQueue) -> None:
    for line in sys.stdin:
        tasks.put(json.loads(line))
    os._exit(0)


def _run_task(target: str, task: dict[str, Any], send: Send, stop: StopRequest) -> dict[str, Any]:
    """Executes a run and returns the event of its end."""
    from attn_research.errors import describe
    from attn_research.sweeps.execute import RunLockedError, warnings_to

    try:
        with warnings_to(lambda text: send({"kind": "warning", "error": text})):
            _run(target, task, send, stop)
        return {"kind": "ended"}
    except RunLockedError as error:
        return {"kind": "busy", "error": str(error)}
    except Exception as error:
        return {"kind": "failed", "error": describe(error), "traceback": traceback.format_exc()}


def _run(target: str, task: dict[str, Any], send: Send, stop: StopRequest) -> None:
    from attn_research.config import unflatten
    from attn_research.runs import records
    from attn_research.sweeps.execute import execute_run, lock_run

    config, directory = unflatten(task["config"]), Path(task["directory"])
    with lock_run(directory):
        if records.is_done(directory, config):  # another process has executed it meanwhile
            return
        report = functools.partial(_send_report, send)
        execute_run(target, config, directory, report, task["wandb"], task["group"], stop)


def _send_report(send: Send, numbers: dict[str, Any]) -> None:
    send({"kind": "report", "numbers": numbers})


if __name__ == "__main__":
    main(*sys.argv[1:])
