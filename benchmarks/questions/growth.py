"""How do time and memory grow with length, batch, hidden size, the variants of a sweep, and steps or data of a run?"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.questions import OURS, Question, SideSpec, step
from benchmarks.tables import Entry, entries, number, timing
from benchmarks.workloads import GROWTH_SIZES

VARIANTS = (1, 2, 4, 6)
STEPS = 50  # training steps of each run of a sweep
RUNS = {"steps": (100, 400, 1600), "sentences": (7_500, 30_000, 120_000)}  # of a single training run
SizedEntry = tuple[int, Entry]


def rows(full: bool) -> dict[str, dict[str, SideSpec]]:
    """One row per size. A step is W2-64 with the named size changed; a run trains configs/dates.py."""
    steps = {
        f"{axis} {size}": {OURS: step.ours(f"{axis} {size}", "dot")}
        for axis, sizes in GROWTH_SIZES.items()
        for size in (sizes if full else sizes[1:3])
    }
    sweeps = {f"variants {count}": {OURS: _sweep(count)} for count in (VARIANTS if full else VARIANTS[:2])}
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
    """Returns the peak memory in MiB of the side's process, or of a sweep's largest process."""
    return entry.facts["peak_bytes"] / 2**20


def table(record: Mapping[str, Any]) -> str:
    """Returns a table of times and memory."""
    columns = {
        "GFLOP": lambda entry, _: number(entry.facts["flops"] / 1e9 if "flops" in entry.facts else None),
        "peak memory, MiB": lambda entry, _: number(megabytes(entry)),
    }
    title = f"Training step of W2-64 with one size changed; sweep of {STEPS}-step runs, and single runs, on dates"
    return timing(record, title, columns)


question = Question(rows, table)


def draw(growth: Mapping[str, Any], additive: Mapping[str, Any], path: Path) -> None:
    """Draws time (top) and memory (bottom): step by size, sweep by variants, `concat` by length.

    Args:
      growth: the record of this question.
      additive: the record of the question `additive`.
      path: the image file.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    titles = {axis: f"step of W2-64, dot: {axis}" for axis in GROWTH_SIZES}
    titles["variants"] = "sweep, warm cache: variants"
    figure, axes = plt.subplots(2, len(titles) + 1, figsize=(15, 5), sharex="col", layout="constrained")
    for column, (axis, title) in zip(axes.T, titles.items(), strict=False):
        sizes = [(int(entry.row.split()[-1]), entry) for entry in entries(growth) if entry.row.startswith(axis)]
        _plot(column[0], _milliseconds(sizes))
        _plot(column[1], [(size, megabytes(entry)) for size, entry in sizes])
        column[0].set_title(title, fontsize=9)
    _draw_additive(axes[:, -1], additive)
    axes[0, 0].set_ylabel("ms")
    axes[1, 0].set_ylabel("memory, MiB")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _draw_additive(column: Sequence[Any], record: Mapping[str, Any]) -> None:
    sides: dict[str, list[SizedEntry]] = {}
    for entry in entries(record):
        sides.setdefault(entry.side, []).append((int(entry.row.split()[4].rstrip(",")), entry))
    for side, sizes in sides.items():
        _plot(column[0], _milliseconds(sizes), side)
        _plot(column[1], [(size, entry.facts["bytes"] / 2**20) for size, entry in sizes], side)
    column[0].set_title("concat, all queries at once: T = S", fontsize=9)
    column[1].legend(fontsize=8)


def _milliseconds(sizes: Iterable[SizedEntry]) -> list[tuple[int, float]]:
    return [(size, entry.median * 1e3) for size, entry in sizes if entry.median]


def _plot(axes: Any, points: Sequence[tuple[float, float]], label: str | None = None) -> None:
    """Plots on two logarithmic axes, so that linear growth has slope one."""
    axes.plot(*zip(*points, strict=True), marker="o", markersize=4, label=label)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.grid(alpha=0.3, which="both")
