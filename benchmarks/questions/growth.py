"""How do time and memory grow: of a training step with length, batch and hidden size, of a sweep with its variants?"""

from collections.abc import Mapping
from typing import Any

from benchmarks.question import OURS, Question, SideSpec
from benchmarks.questions import step
from benchmarks.tables import Entry, number, timing
from benchmarks.workloads import GROWTH_SIZES

VARIANTS = (1, 2, 4, 6)
STEPS = 50  # of a sweep's runs
RUNS = {"steps": (100, 400, 1600), "sentences": (7_500, 30_000, 120_000)}  # of a training run


def rows(full: bool) -> dict[str, dict[str, SideSpec]]:
    """A row a size; a step's sizes but for the one that is named are those of W2-64, a run is of configs/dates.py."""
    steps = {
        f"{axis} {size}": {OURS: step.ours(f"{axis} {size}", "dot")}
        for axis, sizes in GROWTH_SIZES.items()
        for size in (sizes if full else sizes[1:3])
    }
    sweeps = {f"variants {number}": {OURS: _sweep(number)} for number in (VARIANTS if full else VARIANTS[:2])}
    runs = {
        f"{axis} {size}": {OURS: _run(**{axis: size})}
        for axis, sizes in RUNS.items()
        for size in (sizes if full else sizes[:2])
    }
    return steps | sweeps | runs


def _run(steps: int = 100, sentences: int = 30_000) -> SideSpec:
    return SideSpec("benchmarks.commands:memory", {"steps": steps, "sentences": sentences})


def _sweep(number: int) -> SideSpec:
    return SideSpec("benchmarks.commands:variants", {"number": number, "steps": STEPS})


def megabytes(entry: Entry) -> float:
    """The most memory that its process has had, or the largest one of a sweep, in MiB."""
    return entry.facts["peak_bytes"] / 2**20


def table(record: Mapping[str, Any]) -> str:
    """Times and memory."""
    columns = {
        "GFLOP": lambda entry, _: number(entry.facts["flops"] / 1e9 if "flops" in entry.facts else None),
        "memory of the process, MiB": lambda entry, _: number(megabytes(entry)),
    }
    title = f"A training step of W2-64 with one size changed; a sweep of runs of {STEPS} steps, and a run, on dates"
    return timing(record, title, columns)


question = Question(rows, table)
