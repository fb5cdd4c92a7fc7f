"""Stands in for `training.loop.run` in workers: what it does stands in the config's task."""

import os
import signal
import time
from pathlib import Path

from attn_research.config import Config, digest, flatten, override
from attn_research.runs import records
from attn_research.runs.identity import Identity, hash_code, sources
from attn_research.runs.signals import never_stop
from attn_research.sweeps.expand import load_experiment

DIVERGED = {"status": "diverged", "failure": "loss is nan at step 7", "splits": {}}


def configs(*tasks, **changes):
    return [override(Config(), {"data.task": task, "train.steps": 100} | changes) for task in tasks]


def fake(how: str = "", n: int = 0):
    """A task without data."""


def run(config, directory, report=lambda numbers: None, stop=never_stop):
    """`crash(how="kill")` and its like do what they say on the first call; everything else finishes."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "calls.txt").open("a") as file:
        print(os.getpid(), len(os.sched_getaffinity(0)), file=file)
    for step in range(50, config.train.steps + 1, 50):
        report({"step": step, "steps": config.train.steps, "loss": 1.0})
    misbehave(config.data.task.hyper, directory)
    diverges = config.data.task.hyper.get("how") == "diverge"
    record = make_record(config, **(DIVERGED if diverges else {}))
    records.write(directory, record)
    return record


def cat():
    raise RuntimeError("the cat sat\non the keyboard")


RAISES = f"fake_runs.py:{cat.__code__.co_firstlineno + 1}"


def misbehave(hyper, directory):
    print("printed before anything happens")
    match hyper.get("how"):
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "raise":
            cat()
        case "memory":
            raise MemoryError
        case "user":
            override(Config(), {"seed": -1})
        case "exit":
            os._exit(3)
        case "wait" if not (directory / "go").exists():
            (directory / "waiting").touch()
            time.sleep(600)


def make_record(config, exact=0.981, **other):
    """A record as a run would write it, of a run that finished."""
    metrics = {"exact": exact, "token": 0.99, "loss": 0.1}
    split = {"metrics": metrics, "items": {}, "ceiling": None}
    return {
        "id": digest(config),
        "config": flatten(config),
        "status": "finished",
        "failure": None,
        "best_step": config.train.steps,
        "steps": config.train.steps,
        "splits": {"dev": split, "test": split},
        "parameters": 1000,
        "parameters_hash": "0",
        "flops_per_step": 1e6,
        "seconds": {"total": 19.0, "compile": 5.0, "step": 0.01},
        "idle": False,
        "user_code": records.user_code(config),
        "identity": Identity({}, hash_code(sources(config)), {}, {}, None)._asdict(),
        "date": "2000-01-01T00:00:00+00:00",
        "commit": "c" * 40,
        "dirty": False,
        "versions": {"jax": "0", "flax": "0"},
        "device": "cpu",
        "machine": "machine",
        "threads": 1,
        **other,
    }


def make_runs(**other):
    """Records of all runs of the experiment in small.py, a bit different for each."""
    for number, config in enumerate(load_experiment("small.py").runs):
        records.write(Path("runs") / digest(config), make_record(config, exact=0.9 + number / 1000, **other))
