"""A replacement for `training.loop.run` in workers. The config's task says what it does."""

import math
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
    """A task without data. `how` is a case of `misbehave`; `n` makes configs differ."""


def run(config, directory, report=lambda numbers: None, stop=never_stop):
    """Reports two steps, misbehaves as the task says, and writes a record."""
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


def finished_record(config, splits, **changes):
    """Returns the record of a finished run of `config`, with some fields changed."""
    record = {
        "id": digest(config), "config": flatten(config), "status": "finished", "failure": None, "best_step": 1500,
        "steps": 1500, "splits": splits, "parameters": 38_200, "parameters_hash": "0" * 64, "flops_per_step": 1.3e9,
        "seconds": {"total": 20.0, "compile": 8.0, "step": 0.0075}, "idle": True, "threads": 1,
        "commit": "1234567890abcdef", "dirty": False, "versions": {"jax": "0.10.2", "flax": "0.12.8"}, "device": "cpu",
        "machine": "AMD EPYC", "user_code": {}, "date": "2026-01-01T00:00:00",
    }  # fmt: skip
    return record | changes


BEST_RATES = {"dot": 1e-2, "general": 1e-3}  # learning rates with the lowest dev loss


def make_record(config, exact=0.981, **changes):
    """Returns the record that `run` writes, with some fields changed."""
    steps, best_rate = config.train.steps, BEST_RATES.get(config.model.attention.score.name, 5e-3)
    loss = abs(math.log(config.train.learning_rate / best_rate))
    split = {"metrics": {"exact": exact, "token": 0.99, "loss": 0.1}, "items": {}, "ceiling": None}
    fields = {
        "splits": {"dev": split, "test": split},
        "best_step": steps,
        "steps": steps,
        "dev": {"step": [steps // 2, steps], "loss": [loss + 1, loss], "exact": [exact / 2, exact]},
        "seconds": {"total": 19.0, "compile": 5.0, "step": 0.01},
        "idle": False,
        "data": "d" * 16 if config.data.task.name == "fake" else None,
        "user_code": records.user_code(config),
        "identity": Identity({}, hash_code(sources(config)), {}, {}, None)._asdict(),
        "date": "2000-01-01T00:00:00+00:00",
        "commit": "c" * 40,
    }
    return finished_record(config, **fields | changes)


def make_runs(**changes):
    """Writes records of all runs of the experiment in small.py, each with another exact match."""
    for number, config in enumerate(load_experiment("small.py").runs):
        records.write(Path("runs") / digest(config), make_record(config, exact=0.9 + number / 1000, **changes))
