"""Draws panels of lines with bands, a line per row of a table."""

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from attn_research.errors import UserError
from attn_research.reports.cells import Rows
from attn_research.reports.figures import ALL, SIZE, save
from attn_research.reports.fonts import text_label
from attn_research.reports.panels import Line, Panel, dev_panels

# Okabe and Ito's colors for all kinds of color vision, without yellow, which is too light for a line on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#56B4E9", "#E69F00")
SHAPES = (("-", "o"), ("--", "s"), (":", "^"), ("-.", "D"), ((0, (5, 1, 1, 1, 1, 1)), "v"))  # line style, marker
WIDTH, HEIGHT = 5.4, 3.7  # inches of a panel
MAX_COLUMNS = 2  # of panels
MAX_TICKS = 8  # of a logarithmic axis that shows the x of the lines
MAX_MARKERS = 16  # of a line
LEGEND_ROWS = 16  # entries in a column of the legend, for one row of panels


def draw_lines(
    panels: Sequence[Panel], path: str | Path, caption: str = "", suffixes: Sequence[str] = ALL
) -> list[Path]:
    """Draws panels side by side, with one legend on the right, whose entries have the order of the lines' ends.

    Args:
      path: path of the picture, with or without suffix.
      caption: what lines and bands are, printed below the panels.
      suffixes: of the files.

    Returns:
      The path of every file.

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
    return save(figure, path, suffixes)


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
    panels, caption = dev_panels(rows, metric)
    return draw_lines(panels, path, caption)
