"""Sides whose unit of work is a command line, timed from process start."""

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from attn_research.config import digest
from attn_research.sweeps.expand import load_experiment
from benchmarks.questions import PreparedSide
from benchmarks.server import ROOT, peak_bytes

PROGRAM = [sys.executable, "-m", "attn_research"]
EXPERIMENT = ROOT / "experiments" / "score_functions.py"


def _run(arguments: list[str], environment: Mapping[str, str] = os.environ) -> None:
    subprocess.run([*PROGRAM, *arguments], cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)


def help_text(directory: Path) -> PreparedSide:
    """Runs `attn-research --help`."""
    return PreparedSide(lambda: _run(["--help"]), {})


def first_step(directory: Path, warm: bool) -> PreparedSide:
    """Runs `attn-research train` until it reports its first step, with a warm or a cold compilation cache."""
    cache, runs = directory / f"cache-{warm}", directory / f"runs-{warm}"
    command = [*PROGRAM, "train", "configs/dates.py", "train.log_every=1", "--runs", str(runs)]
    environment = os.environ | {"ATTN_RESEARCH_CACHE": str(cache)}

    def run() -> None:
        shutil.rmtree(runs, ignore_errors=True)
        if not warm:
            shutil.rmtree(cache, ignore_errors=True)
        with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, encoding="utf-8") as process:
            if not process.stdout.readline().startswith("step 1/"):
                raise ValueError("attn-research train ended before its first step")
            process.kill()

    run()  # fills the compilation cache and the operating system's file cache
    return PreparedSide(run, {})


def sweep(directory: Path, steps: int) -> PreparedSide:
    """Makes the demo's runs with `attn-research sweep`, starting with a cold compilation cache."""
    environment = os.environ | {"ATTN_RESEARCH_CACHE": str(directory / "cache")}

    def run() -> None:
        for name in ("cache", "runs"):
            shutil.rmtree(directory / name, ignore_errors=True)
        _run(["sweep", str(EXPERIMENT), f"train.steps={steps}", "--runs", str(directory / "runs")], environment)

    return PreparedSide(run, {"runs": len(load_experiment(EXPERIMENT, {}, []).runs)})


def memory(directory: Path, steps: int, sentences: int) -> PreparedSide:
    """Measures the peak memory of a whole `attn-research train` with warm caches. Nothing is timed."""
    task = f"dates(train={sentences}, dev=100, test=100)"
    changes = [f"data.task={task}", f"train.steps={steps}", f"train.evaluate_every={steps}"]
    environment = os.environ | {"ATTN_RESEARCH_CACHE": str(directory / "cache")}
    for runs in "first", "second":
        command = [*PROGRAM, "train", "configs/dates.py", *changes, "--runs", str(directory / runs)]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise ValueError(f"attn-research train ended with status {os.waitstatus_to_exitcode(status)}")
    return PreparedSide(None, {"peak_bytes": usage.ru_maxrss * 1024})


def variants(directory: Path, number: int, steps: int) -> PreparedSide:
    """Sweeps over `number` score functions, one run each, with a warm compilation cache."""
    environment = os.environ | {"ATTN_RESEARCH_CACHE": str(directory / "cache")}
    file, runs = directory / f"of_{number}.py", directory / f"runs-{number}"
    changes = {"seed": 0, "train.steps": steps}
    file.write_text(
        "from attn_research.sweeps.expand import load_experiment\n"
        f"runs = lambda: load_experiment({str(EXPERIMENT)!r}, {changes}).runs[-{number}:]\ntable = None\n"
    )

    def run() -> None:
        shutil.rmtree(runs, ignore_errors=True)
        _run(["sweep", str(file), "--runs", str(runs)], environment)

    run()
    return PreparedSide(run, {"peak_bytes": peak_bytes(resource.RUSAGE_CHILDREN)})


def one_by_one(directory: Path, steps: int) -> PreparedSide:
    """Makes the same runs one after another, each in its own process with a cold compilation cache."""
    experiment = load_experiment(EXPERIMENT, {"train.steps": steps}, [])

    def run() -> None:
        for config in experiment.runs:
            alone = directory / "alone" / digest(config)
            shutil.rmtree(alone, ignore_errors=True)
            changes = [f"model.attention.score={config.model.attention.score}", f"seed={config.seed}"]
            arguments = ["train", "configs/dates.py", f"train.steps={steps}", *changes, "--runs", str(alone / "runs")]
            _run(arguments, os.environ | {"ATTN_RESEARCH_CACHE": str(alone / "cache")})

    return PreparedSide(run, {"runs": len(experiment.runs)})
