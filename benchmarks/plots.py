"""How cost grows, as a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.questions.growth import megabytes
from benchmarks.tables import entries
from benchmarks.workloads import GROWTH_SIZES

Points = Sequence[tuple[float, float]]


def draw(growth: Mapping[str, Any], additive: Mapping[str, Any], path: Path) -> None:
    """Time above and memory below: of a step by each size, of a sweep by its variants, of concat by the length."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    titles = {axis: f"step of W2-64, dot: {axis}" for axis in GROWTH_SIZES} | {
        "variants": "sweep, warm cache: variants"
    }
    figure, axes = plt.subplots(2, len(titles) + 1, figsize=(15, 5), sharex="col", layout="constrained")
    for column, (axis, title) in zip(axes.T, titles.items(), strict=False):
        sized_entries = [(int(entry.row.split()[-1]), entry) for entry in entries(growth) if entry.row.startswith(axis)]
        _line(column[0], [(size, entry.median * 1e3) for size, entry in sized_entries if entry.median])
        _line(column[1], [(size, megabytes(entry)) for size, entry in sized_entries])
        column[0].set_title(title, fontsize=9)
    sides = {}
    for entry in entries(additive):
        sides.setdefault(entry.side, []).append((int(entry.row.split()[4].rstrip(",")), entry))
    for side, sized_entries in sides.items():
        _line(axes[0, -1], [(size, entry.median * 1e3) for size, entry in sized_entries if entry.median], side)
        _line(axes[1, -1], [(size, entry.facts["bytes"] / 2**20) for size, entry in sized_entries], side)
    axes[0, -1].set_title("concat, all queries at once: T = S", fontsize=9)
    axes[1, -1].legend(fontsize=8)
    axes[0, 0].set_ylabel("ms")
    axes[1, 0].set_ylabel("memory, MiB")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _line(axes: Any, points: Points, label: str | None = None) -> None:
    """Both ways by powers of two or ten, so that what is linear has slope one."""
    axes.plot(*zip(*points, strict=True), marker="o", markersize=4, label=label)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.grid(alpha=0.3, which="both")
