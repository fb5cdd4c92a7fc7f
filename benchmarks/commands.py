"""The command line as a unit of work: from the start of a process to what one waits for."""

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from attn_research.config import digest
from attn_research.sweeps.expand import load_experiment
from benchmarks.question import PreparedSide
from benchmarks.server import ROOT, peak_bytes

PROGRAM = [sys.executable, "-m", "attn_research"]
EXPERIMENT = ROOT / "experiments" / "score_functions.py"


def _run(words: list[str], environment: Mapping[str, str] = os.environ) -> None:
    subprocess.run([*PROGRAM, *words], cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)


def help_text(directory: Path) -> PreparedSide:
    """`attn-research --help`."""
    return PreparedSide(lambda: _run(["--help"]), {})


def first_step(directory: Path, warm: bool) -> PreparedSide:
    """`attn-research train` to the line that tells of its first step, with or without compiled programs kept before."""
    cache, runs = directory / f"cache-{warm}", directory / f"runs-{warm}"
    words = [*PROGRAM, "train", "configs/dates.py", "train.log_every=1", "--runs", str(runs)]
    environment = os.environ | {"ATTN_RESEARCH_CACHE": str(cache)}

    def run() -> None:
        shutil.rmtree(runs, ignore_errors=True)
        if not warm:
            shutil.rmtree(cache, ignore_errors=True)
        with subprocess.Popen(words, cwd=ROOT, env=environment, stdout=subprocess.PIPE, encoding="utf-8") as process:
            if not process.stdout.readline().startswith("step 1/"):
                raise ValueError("attn-research train did not get to its first step")
            process.kill()

    run()  # fills the cache, and the system's own cache of files
    return PreparedSide(run, {})


def sweep(directory: Path, steps: int) -> PreparedSide:
    """The demo's runs by `attn-research sweep`, with no compiled programs at first."""
    environment = os.environ | {"ATTN_RESEARCH_CACHE": str(directory / "cache")}

    def run() -> None:
        for name in ("cache", "runs"):
            shutil.rmtree(directory / name, ignore_errors=True)
        words = ["sweep", str(EXPERIMENT), f"train.steps={steps}", "--runs", str(directory / "runs")]
        _run(words, environment)

    return PreparedSide(run, {"runs": len(load_experiment(EXPERIMENT, {}, []).runs)})


def memory(directory: Path, steps: int, sentences: int) -> PreparedSide:
    """`attn-research train` from its start to its end, which is not timed, by programs and data from an earlier one."""
    task = f"dates(train={sentences}, dev=100, test=100)"
    words = ["train", "configs/dates.py", f"data.task={task}", f"train.steps={steps}", f"train.evaluate_every={steps}"]
    environment = os.environ | {"ATTN_RESEARCH_CACHE": str(directory / "cache")}
    for runs in "first", "second":
        own = [*PROGRAM, *words, "--runs", str(directory / runs)]
        process = subprocess.Popen(own, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise ValueError(f"attn-research train ended with status {os.waitstatus_to_exitcode(status)}")
    return PreparedSide(None, {"peak_bytes": usage.ru_maxrss * 1024})


def variants(directory: Path, number: int, steps: int) -> PreparedSide:
    """A sweep of so many score functions, a run each, by programs that are kept from an earlier one."""
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
    """The same runs one after another, each in a process of its own that compiles everything."""
    experiment = load_experiment(EXPERIMENT, {"train.steps": steps}, [])

    def run() -> None:
        for config in experiment.runs:
            alone = directory / "alone" / digest(config)
            shutil.rmtree(alone, ignore_errors=True)
            changes = [f"model.attention.score={config.model.attention.score}", f"seed={config.seed}"]
            words = ["train", "configs/dates.py", f"train.steps={steps}", *changes, "--runs", str(alone / "runs")]
            _run(words, os.environ | {"ATTN_RESEARCH_CACHE": str(alone / "cache")})

    return PreparedSide(run, {"runs": len(experiment.runs)})
