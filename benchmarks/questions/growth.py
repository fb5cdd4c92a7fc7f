"""How do time and memory of a training step grow with the length, the batch and the hidden size?"""

from collections.abc import Mapping
from typing import Any

from benchmarks.question import OURS, Question, Work
from benchmarks.questions import step
from benchmarks.tables import Entry, number, timing
from benchmarks.workloads import GROWING


def rows(full: bool) -> dict[str, dict[str, Work]]:
    """A row a size; sizes but for the one that is named are those of W2-64."""
    return {
        f"{axis} {size}": {OURS: step.ours(f"{axis} {size}", "dot")}
        for axis, sizes in GROWING.items()
        for size in (sizes if full else sizes[1:3])
    }


def megabytes(entry: Entry) -> float:
    """The most memory that its process has had, in MiB."""
    return entry.facts["peak_bytes"] / 2**20


def table(record: Mapping[str, Any]) -> str:
    """Times and memory."""
    columns = {
        "GFLOP": lambda entry, _: number(entry.facts["flops"] / 1e9),
        "memory of the process, MiB": lambda entry, _: number(megabytes(entry)),
    }
    return timing(record, "A training step of W2-64 with one size changed", columns)


question = Question(rows, table)
