"""The five figures of the README."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from benchmarks.questions import OURS, decoding, start
from benchmarks.tables import NONE, Entry, entries, ratios, spread
from benchmarks.workloads import WORKLOADS

WORKLOAD = "W2-64"
Record = Mapping[str, Any]
Sides = Mapping[str, Mapping[str, Entry]]  # {row: {side: entry}}


class Figure(NamedTuple):
    """A line of the summary."""

    question: str  # whose record has the figure
    label: str
    value: Callable[[Sides], str]


def _ratio(sides: Sides, row: str, side: str, ours: str = OURS) -> str:
    """Returns the time of a side divided by ours."""
    row_sides = sides.get(row, {})
    return spread(ratios(row_sides[side], row_sides[ours])) if {side, ours} <= row_sides.keys() else NONE


def _sweep_ratio(sides: Sides) -> str:
    (row,) = sides
    ours, alone = sides[row]
    return _ratio(sides, row, alone, ours)


def _seconds_to_first_step(sides: Sides) -> str:
    return spread(sides[start.TRAIN][start.WARM].seconds)


FIGURES = (
    Figure(
        "step",
        "training step: PyTorch, well written / ours",
        lambda sides: _ratio(sides, f"{WORKLOAD} dot", "PyTorch, well written"),
    ),
    Figure(
        "step",
        "training step: PyTorch with `torch.compile` / ours",
        lambda sides: _ratio(sides, f"{WORKLOAD} dot, other ways", "PyTorch, torch.compile of it"),
    ),
    Figure(
        "decoding",
        "decoding, beam 5: loop in PyTorch / ours",
        lambda sides: _ratio(sides, "beam 5", "PyTorch loop"),
    ),
    Figure("sweep", "sweep of the demo: one process per run, nothing cached / ours", _sweep_ratio),
    Figure("start", "process start to first training step, warm cache: seconds", _seconds_to_first_step),
)


def table(records: Mapping[str, Record]) -> str:
    """Returns a Markdown table with one line for each figure whose record exists."""
    lines = [
        f"| {figure.label} | {figure.value(_sides(records[figure.question]))} |"
        for figure in FIGURES
        if figure.question in records
    ]
    return "\n".join(["| time | median [min, max] |", "| --- | ---: |", *lines, "", _note()]) + "\n"


def _sides(record: Record) -> Sides:
    sides: dict[str, dict[str, Entry]] = {}
    for entry in entries(record):
        sides.setdefault(entry.row, {})[entry.side] = entry
    return sides


def _note() -> str:
    sizes = WORKLOADS[WORKLOAD]
    return (
        f"- Training and decoding: `{decoding.SCORE}` score, {sizes.hidden} units, {sizes.target_symbols:,} target "
        f"symbols, batches of {sizes.batch} (workload {WORKLOAD})."
    )
