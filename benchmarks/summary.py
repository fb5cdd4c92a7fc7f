"""The figures of all records in short, as they stand in the README."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from benchmarks.question import OURS
from benchmarks.questions import peak
from benchmarks.tables import Entry, entries, number, ratios, spread

Record = Mapping[str, Any]
Figures = Iterator[tuple[str, str]]
RIVALS = ("PyTorch, well written", "PyTorch, torch.compile of it")


def table(records: Mapping[str, Record]) -> str:
    """A line for each figure of each record that is there."""
    lines = [
        f"| {label} | {text} |"
        for name, figures in FIGURES.items()
        if name in records
        for label, text in figures(records[name])
    ]
    return "\n".join(["| | median [lowest, highest] |", "| --- | ---: |", *lines]) + "\n"


def _sides(record: Record) -> dict[tuple[str, str], Entry]:
    return {(entry.row, entry.side): entry for entry in entries(record)}


def _step(record: Record) -> Figures:
    sides = _sides(record)
    for (row, side), entry in sides.items():
        if side in RIVALS and " dot" in row:
            yield (
                f"training step, {row.split()[0]} dot: time of {side}, in ours",
                spread(ratios(entry, sides[row, OURS])),
            )


def _scores(record: Record) -> Figures:
    sides = _sides(record)
    for (row, score), entry in sides.items():
        if score != "dot":
            yield f"training step, {row} {score}: its time in that of dot", spread(ratios(entry, sides[row, "dot"]))


def _against(title: str) -> Callable[[Record], Figures]:
    def figures(record: Record) -> Figures:
        ours = {}
        for (row, side), entry in _sides(record).items():
            if ours.setdefault(row, entry) is not entry:
                yield f"{title}, {row}: time of {side}, in ours", spread(ratios(entry, ours[row]))

    return figures


def _peak(record: Record) -> Figures:
    for (row, side), entry in _sides(record).items():
        if side == OURS:
            yield f"training step, {row}: share of the best matrix product's rate, %", peak.share(entry, record)


def _additive(record: Record) -> Figures:
    for (row, side), entry in _sides(record).items():
        if side == OURS and row.startswith(("T = S = 200", "T = S = 1000")):
            memory = number(entry.facts["bytes"] / 2**20)
            yield f"concat, all queries known, {row}: ms, and MiB", f"{spread(entry.seconds, 1e3)}, {memory}"


def _padding(record: Record) -> Figures:
    for (row, _), entry in _sides(record).items():
        best = entry.facts["shares"][-1]
        yield f"real symbols, {row}, {best['compiled']} shapes: %", f"{100 * best['real']:.0f}"


def _seconds(record: Record) -> Figures:
    for (row, side), entry in _sides(record).items():
        yield f"{row}, {side}: s", spread(entry.seconds)


FIGURES = {
    "step": _step,
    "scores": _scores,
    "no_feeding": _against("no input feeding"),
    "peak": _peak,
    "additive": _additive,
    "padding": _padding,
    "start": _seconds,
    "decoding": _against("decoding"),
    "sweep": _against("sweep"),
}
