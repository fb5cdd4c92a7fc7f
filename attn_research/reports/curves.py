"""Figures of lines with bands, a line per row of a table: dev metrics by training step."""

import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from attn_research.errors import UserError, nearest
from attn_research.metrics import METRICS, Metric
from attn_research.reports.cells import Record, Rows
from attn_research.reports.dev_curves import DevCurve, check_recorded, dev_curve
from attn_research.reports.figures import SIZE, save
from attn_research.reports.fonts import text_label
from attn_research.reports.tables import check_alike

# Okabe and Ito's colors for all kinds of color vision, without yellow, which is too light for a line on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#56B4E9", "#E69F00")
SHAPES = (("-", "o"), ("--", "s"), (":", "^"), ("-.", "D"), ((0, (5, 1, 1, 1, 1, 1)), "v"))  # line style, marker
WIDTH, HEIGHT = 5.4, 3.7  # inches of a panel
MAX_COLUMNS = 2  # of panels
MAX_TICKS = 8  # of a logarithmic axis that shows the x of the lines
MAX_MARKERS = 16  # of a line
LEGEND_ROWS = 16  # entries in a column of the legend, for one row of panels


@dataclass(frozen=True)
class Line:
    """A line with a band. A point with nan is a gap.

    Attributes:
      label: the name in the legend. Equal labels have one color and style in all panels.
      x: n values in ascending order.
      y: n values.
      low, high: n bounds of the band; None: no band.
    """

    label: str
    x: Sequence[float] | np.ndarray
    y: Sequence[float] | np.ndarray
    low: Sequence[float] | np.ndarray | None = None
    high: Sequence[float] | np.ndarray | None = None


@dataclass(frozen=True)
class Panel:
    """One pair of axes with its lines."""

    title: str
    x_label: str
    y_label: str
    lines: Sequence[Line]
    log_x: bool = False
    log_y: bool = False


def draw_lines(panels: Sequence[Panel], path: str | Path, caption: str = "") -> list[Path]:
    """Draws panels side by side, with one legend on the right, whose entries have the order of the lines' ends.

    Args:
      path: path of the picture, with or without suffix.
      caption: what lines and bands are, printed below the panels.

    Returns:
      The paths of the PNG, the PDF and the SVG.

    Raises:
      UserError: no panel has a line.
    """
    lines = [line for panel in panels for line in panel.lines]
    if not lines:
        raise UserError("there are no lines to draw")
    styles = _styles(dict.fromkeys(line.label for line in lines))
    columns = min(len(panels), MAX_COLUMNS)
    panel_rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(columns * WIDTH, panel_rows * HEIGHT), layout="constrained")
    grid = list(figure.subplots(panel_rows, columns, squeeze=False).ravel())
    for axes in grid[len(panels) :]:
        axes.remove()
    for axes, panel in zip(grid, panels, strict=False):
        _draw_panel(axes, panel, styles)
    legend = _draw_legend(figure, _by_end(lines), styles, LEGEND_ROWS * panel_rows)
    text_label(caption).apply_to(figure.supxlabel(""), SIZE - 0.5, color="#555555")
    _widen(figure, legend)
    return save(figure, path, (".png", ".pdf", ".svg"))


def _styles(labels: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Returns the color, line style and marker of every label; they repeat after 35 labels."""
    styles = itertools.cycle(itertools.product(SHAPES, COLORS))
    return {
        label: {"color": color, "linestyle": line, "marker": marker}
        for label, ((line, marker), color) in zip(labels, styles, strict=False)
    }


def _draw_panel(axes: Axes, panel: Panel, styles: Mapping[str, Mapping[str, Any]]) -> None:
    opacity = min(0.15, max(0.05, 1.5 / len(panel.lines))) if panel.lines else 0  # many bands hide each other
    for line in panel.lines:
        style = styles[line.label]
        if line.low is not None and line.high is not None:
            axes.fill_between(line.x, line.low, line.high, color=style["color"], alpha=opacity, linewidth=0)
        every = math.ceil(len(line.x) / MAX_MARKERS) or 1
        axes.plot(line.x, line.y, linewidth=1.4, markersize=3.5, markevery=every, **style)
    axes.set_xscale("log" if panel.log_x else "linear")
    axes.set_yscale("log" if panel.log_y else "linear")
    values = sorted({float(x) for line in panel.lines for x in line.x})
    if not panel.log_x:
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 2.5, 5, 10]))
    elif len(values) <= MAX_TICKS:
        axes.set_xticks(values, [f"{value:g}" for value in values])
        axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=SIZE - 0.5)
    text_label(panel.title).apply_to(axes.title, SIZE + 1)
    text_label(panel.x_label).apply_to(axes.xaxis.label, SIZE)
    text_label(panel.y_label).apply_to(axes.yaxis.label, SIZE)


def _by_end(lines: Sequence[Line]) -> list[str]:
    """Returns the labels by the last finite value of their first line, highest first, as they stand in the panel."""
    ends: dict[str, float] = {}
    for line in lines:
        finite = np.asarray(line.y, float)[np.isfinite(np.asarray(line.y, float))]
        ends.setdefault(line.label, float(finite[-1]) if len(finite) else -math.inf)
    return sorted(ends, key=lambda label: -ends[label])


def _draw_legend(figure: Figure, labels: Sequence[str], styles: Mapping[str, Mapping[str, Any]], rows: int) -> Legend:
    handles = [Line2D([], [], linewidth=1.4, markersize=3.5, **styles[label]) for label in labels]
    legend = figure.legend(
        handles,
        labels,
        loc="outside right upper",
        ncols=math.ceil(len(labels) / rows),
        frameon=False,
        handlelength=3.2,
        labelspacing=0.4,
    )
    for text, label in zip(legend.get_texts(), labels, strict=True):
        text_label(label).apply_to(text, SIZE)
    return legend


def _widen(figure: Figure, legend: Legend) -> None:
    """Adds the width of the legend to the figure, so that it takes none from the panels."""
    width, height = figure.get_size_inches()
    figure.set_size_inches(width + legend.get_window_extent().width / figure.dpi, height)


def draw_dev_curves(rows: Rows, metric: str, path: str | Path) -> list[Path]:
    """Draws a dev metric by training step for every row: the mean over seeds, and a band from minimum to maximum.

    Args:
      rows: label to records, with a panel for each of their tasks; diverged runs are left out.
      metric: a dev metric of the records, as `exact`.
      path: path of the picture, with or without suffix.

    Returns:
      The paths of the PNG, the PDF and the SVG.

    Raises:
      UserError: no record has a curve of the metric, or the records of a row differ in more than the seed.
    """
    for label, records in rows.items():
        check_alike(label, records)
    if metric not in METRICS:
        raise UserError(f"no record has the dev metric {metric!r}; {nearest(metric, METRICS)}")
    check_recorded(metric, rows)
    curves = {label: _by_task(records, metric) for label, records in rows.items()}
    tasks = list(dict.fromkeys(task for by_task in curves.values() for task in by_task))
    if not tasks:
        raise UserError("no record has a dev curve; `attn-research sweep --fresh` trains the runs again with one")
    panels = [
        _dev_panel(
            METRICS[metric], task if len(tasks) > 1 else "", {k: v[task] for k, v in curves.items() if task in v}
        )
        for task in tasks
    ]
    return draw_lines(panels, path, _caption([seeds for by_task in curves.values() for seeds in by_task.values()]))


def without_curve(rows: Rows, metric: str) -> list[str]:
    """Returns the row and seed of every finished run whose record does not have the curve of a dev metric."""
    return [
        f"`{label}` seed {record['config']['seed']}"
        for label, records in rows.items()
        for record in records
        if record["status"] == "finished" and dev_curve(record, metric) is None
    ]


def _by_task(records: Sequence[Record], metric: str) -> dict[str, list[DevCurve]]:
    """Returns the curves of the finished runs of a row by task."""
    curves: dict[str, list[DevCurve]] = {}
    for record in records:
        curve = dev_curve(record, metric)
        if curve is not None and record["status"] == "finished":
            curves.setdefault(record["config"]["data.task"], []).append(curve)
    return curves


def _dev_panel(metric: Metric, task: str, curves: Mapping[str, Sequence[DevCurve]]) -> Panel:
    arrow = {True: " ↓", False: " ↑", None: ""}[metric.lower_is_better]
    name = f"dev {metric.label}{', %' if metric.percent else ''}{arrow}"
    scale = 100 if metric.percent else 1
    return Panel(task, "training steps", name, [_mean_line(label, own, scale) for label, own in curves.items()])


def _mean_line(label: str, curves: Sequence[DevCurve], scale: float) -> Line:
    """Returns the mean, minimum and maximum over seeds, at the steps that all seeds have."""
    steps = functools.reduce(np.intersect1d, [curve.steps for curve in curves])
    values = scale * np.stack([curve.values[np.isin(curve.steps, steps)] for curve in curves])
    if len(curves) == 1:
        return Line(label, steps, values[0])
    return Line(label, steps, values.mean(axis=0), values.min(axis=0), values.max(axis=0))


def _caption(curves: Sequence[Sequence[DevCurve]]) -> str:
    """Says what lines and bands are, and where lines end if seeds stop at different steps."""
    counts = sorted({len(seeds) for seeds in curves})
    if counts == [1]:
        return "one seed"
    number = " to ".join(dict.fromkeys(map(str, (counts[0], counts[-1]))))
    stops_early = any(len({len(curve.steps) for curve in seeds}) > 1 for seeds in curves)
    end = "   ·   lines end where the first seed stops" if stops_early else ""
    return f"mean over {number} seeds   ·   band: minimum to maximum{end}"
