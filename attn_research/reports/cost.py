"""The cost figure: the quality of every row of a table against its cost, with the Pareto front."""

import itertools
import math
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import AbstractPathEffect, withStroke
from matplotlib.text import Text
from matplotlib.ticker import EngFormatter, FixedLocator, MaxNLocator, NullLocator

from attn_research.errors import UserError
from attn_research.registry import nearest
from attn_research.reports.columns import Column, MetricColumn, column
from attn_research.reports.figures import ALL, save
from attn_research.reports.fonts import text_label
from attn_research.reports.labels import place_labels
from attn_research.reports.quality_axis import LogScale
from attn_research.reports.render import TableData
from attn_research.reports.tables import Table

COSTS = ("parameters", "flops_per_step", "ms", "peak_memory")
FRONT, OTHER, FAINT, TEXT = "#0072B2", "#6b6b6b", "#c4c4c4", "#404040"  # FRONT: blue of Okabe and Ito's palette
MAX_LABELS = 15  # rows; if there are more, only the front, the best and the worst row have a label in the plot
WRAP = 28  # letters of a line of a label
SIZE, LIST_SIZE = 7.5, 5.5  # points
WIDTH, HEIGHT = 7.0, 4.2  # inches, of the plot with its axes
LINE, LETTER = LIST_SIZE / 72 * 1.4, LIST_SIZE / 72 * 0.5  # inches: height of a line and width of a letter of the list
LOG_FROM = 4  # ratio of the largest to the smallest cost from which the axis is logarithmic
TICKS = (1, 1.5, 2, 3, 5, 7)  # of a logarithmic axis, times powers of ten


class Point(NamedTuple):
    """One row of the table: cost and quality as numbers of the axes, and as the texts of their cells."""

    label: str
    cost: float
    quality: float
    interval: tuple[float, float] | None
    cost_text: str
    quality_text: str


def pareto_front(points: Sequence[Sequence[float]], lower_is_better: Sequence[bool]) -> list[int]:
    """Returns the indices of the points that no other point dominates, sorted by the first coordinate, best first.

    A point dominates another if it is at least as good in every coordinate and better in one.

    Args:
      points: [n d] coordinates.
      lower_is_better: for each of the d coordinates.
    """
    if not len(points):
        return []
    costs = np.asarray(points, float) * np.where(lower_is_better, 1, -1)
    no_worse = (costs[:, None] <= costs[None]).all(-1)  # [n n]: i is at least as good as j
    dominated = (no_worse & ~no_worse.T).any(0)
    return sorted(np.flatnonzero(~dominated).tolist(), key=lambda i: (*costs[i], i))


def cost_table(table: Table, cost: str, metric: str | None = None) -> Table:
    """Returns a table of two columns, a metric and a cost. A cost without a task has the metric's task.

    Args:
      cost: one of `COSTS`, possibly with a task, as in `reverse:ms`.
      metric: a metric column; by default the first of `table` that has a better end.

    Raises:
      UserError: the cost or the metric is unknown, or the metric has no better end.
    """
    known = [name for name in table.columns if _is_ranked(name)]
    if metric is None and not known:
        raise UserError("the table has no column of a metric, as test/exact; --metric names one")
    quality = metric or known[0]
    if not _is_ranked(quality):
        raise UserError(
            f"--metric is {quality!r}, but must be a metric that has a better end; {nearest(quality, known)}"
        )
    task, _, name = cost.rpartition(":")
    if name not in COSTS:
        raise UserError(f"--cost is {cost!r}; {nearest(name, COSTS)}")
    task = task or column(quality).task
    return replace(table, columns=(quality, f"{task}:{name}" if task else name))


def _is_ranked(name: str) -> bool:
    named = column(name)
    return isinstance(named, MetricColumn) and named.metric.lower_is_better is not None


def cost_figure(data: TableData, path: str | Path, suffixes: Sequence[str] = ALL) -> list[Path]:
    """Draws every row of a table of two columns, a metric and a cost, as made by `cost_table`.

    Rows without one of the numbers are named below the plot.

    Args:
      path: path of the picture, with or without suffix.
      suffixes: of the files.

    Returns:
      The path of every file.

    Raises:
      UserError: no row has both numbers.
    """
    quality, cost = data.columns
    points = cost_points(data)
    if not points:
        raise UserError(f"no row has both {quality.name} and {cost.name}, so there is nothing to draw")
    metric = cast(MetricColumn, quality).metric
    lower_is_better = bool(metric.lower_is_better)
    points.sort(key=lambda point: point.quality, reverse=not lower_is_better)
    front = pareto_front([(point.cost, point.quality) for point in points], (True, lower_is_better))
    labeled = _labeled(len(points), front)
    others = [point for i, point in enumerate(points) if i not in labeled]
    scale = LogScale.of([point.quality for point in points], metric)
    figure = _page(_caption(data, points, scale, bool(others)), others)
    axes = figure.subplots()
    _draw_points(axes, points, front)
    _format_axes(axes, points, quality.header, cost)
    if scale:
        scale.apply(axes)
    labels = [_label(axes, points[i], i in front) for i in labeled]
    figure.draw_without_rendering()  # gives the axes their final place, which the labels need
    figure.set_layout_engine("none")
    anchors = _coordinates([points[i] for i in labeled])
    place_labels(axes, labels, anchors, _coordinates(points), _lines(points, labeled, front))
    return save(figure, path, suffixes)


def cost_points(data: TableData) -> list[Point]:
    """Returns the rows of a table made by `cost_table` that have both numbers."""
    scale = 100 if cast(MetricColumn, data.columns[0]).metric.percent else 1
    points = []
    for label, (quality, cost) in data.rows.items():
        if quality.value is None or cost.value is None or not math.isfinite(quality.value):
            continue
        interval = None if quality.interval is None else (scale * quality.interval[0], scale * quality.interval[1])
        points.append(Point(label, cost.value, scale * quality.value, interval, cost.text, quality.text))
    return points


def _labeled(number: int, front: Sequence[int]) -> list[int]:
    """Returns the rows with a label in the plot, those of the front first. Rows are sorted by quality."""
    rest = range(number) if number <= MAX_LABELS else (0, number - 1)
    return list(dict.fromkeys([*front, *rest]))


def _draw_points(axes: Axes, points: Sequence[Point], front: Sequence[int]) -> None:
    """Draws the front in blue, connected by a line, and the other rows in gray, all with their intervals."""
    for i, point in enumerate(points):
        if point.interval:
            color = FRONT if i in front else FAINT
            axes.vlines(point.cost, *point.interval, colors=color, linewidth=0.9, alpha=0.75, zorder=1 + (i in front))
    others = _coordinates([point for i, point in enumerate(points) if i not in front])
    axes.plot(*others.T, "o", markersize=3.6, color="white", markeredgecolor=OTHER, markeredgewidth=0.8, zorder=3)
    best = _coordinates([points[i] for i in front])
    axes.plot(*best.T, "-", color=FRONT, linewidth=1.2, zorder=2)
    axes.plot(*best.T, "o", markersize=5.2, color=FRONT, markeredgecolor="white", markeredgewidth=0.6, zorder=4)


def _coordinates(points: Sequence[Point]) -> np.ndarray:
    """Returns cost and quality of points, [n 2]."""
    return np.array([(point.cost, point.quality) for point in points], float).reshape(-1, 2)


def _lines(points: Sequence[Point], labeled: Sequence[int], front: Sequence[int]) -> np.ndarray:
    """Returns points on the line of the front and on the intervals of the labeled rows, [n 2]."""
    lines = [_coordinates(pair) for pair in itertools.pairwise(points[i] for i in front)]
    lines += [np.array([(points[i].cost, end) for end in points[i].interval or ()]) for i in labeled]
    shares = np.linspace(0, 1, 12)[:, None]
    return np.concatenate(
        [_coordinates([]), *(line[:1] + shares * (line[1:] - line[:1]) for line in lines if len(line))]
    )


def _format_axes(axes: Axes, points: Sequence[Point], quality_header: str, cost: Column) -> None:
    costs = [point.cost for point in points]
    if min(costs) > 0 and max(costs) >= LOG_FROM * min(costs):
        axes.set_xscale("log")
        exponents = range(math.floor(math.log10(min(costs))), math.ceil(math.log10(max(costs))) + 1)
        axes.xaxis.set_major_locator(FixedLocator([tick * 10.0**e for e in exponents for tick in TICKS]))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlim(min(costs) / 1.12, max(costs) * 1.12)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(7))
        axes.margins(x=0.08)
    memory = cost.name.endswith("peak_memory")
    axes.xaxis.set_major_formatter(EngFormatter(unit="B" if memory else ""))
    axes.grid(color="#ececec", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(OTHER)
    axes.tick_params(labelsize=SIZE, length=2.5, color=OTHER)
    text_label(cost.header).apply_to(axes.xaxis.label, SIZE + 1)
    text_label(quality_header).apply_to(axes.yaxis.label, SIZE + 1)


def _label(axes: Axes, point: Point, is_front: bool) -> Text:
    """Adds the label of a row at its point, bold if the row is on the front."""
    text = axes.text(point.cost, point.quality, "", zorder=5, linespacing=1.0)
    lines = textwrap.wrap(point.label, WRAP, break_long_words=False)
    text_label("\n".join(lines)).apply_to(text, SIZE, color=FRONT if is_front else TEXT)
    text.set_in_layout(False)
    halo: list[AbstractPathEffect] = [withStroke(linewidth=2.2, foreground="white")]
    # The fonts have no bold face: an outline in the color of the text makes it bold.
    text.set_path_effects(halo + [withStroke(linewidth=0.4, foreground=FRONT)] * is_front)
    return text


def _caption(data: TableData, points: Sequence[Point], scale: LogScale | None, has_list: bool) -> list[str]:
    """Returns the lines of text below the plot."""
    missing = [label for label in data.rows if label not in {point.label for point in points}]
    sentences = [
        "Blue: the Pareto front; for every gray row, a blue row costs no more and is no worse.",
        "Vertical lines: 95 % bootstrap confidence intervals." if any(point.interval for point in points) else "",
        scale.note if scale else "",
        f"Not drawn, without one of the numbers: {', '.join(missing)}." if missing else "",
        "Other rows, best first:" if has_list else "",
    ]
    return textwrap.wrap(" ".join(filter(None, sentences)), int(WIDTH / LETTER))


def _page(caption: Sequence[str], others: Sequence[Point]) -> Figure:
    """Returns a figure with the caption and a list of rows at its bottom, and room for the plot above."""
    longest = max((len("100.00 100 k " + point.label) for point in others), default=0)
    columns = min(3, max(1, int(WIDTH / LETTER / (longest + 1))))
    rows = math.ceil(len(others) / columns)
    below = LINE * (len(caption) + rows + 1)
    height = HEIGHT + below
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    cast(Any, figure.get_layout_engine()).set(rect=(0, below / height, 1, HEIGHT / height))
    _write(figure, 0.01, below - 0.3 * LINE, caption, TEXT)
    for column_number in range(columns):
        part = others[column_number * rows : (column_number + 1) * rows]
        left, top = WIDTH * (0.01 + column_number / columns), below - (len(caption) + 0.5) * LINE
        for texts, offset, ha in (
            ([point.quality_text for point in part], 5.5, "right"),
            ([point.cost_text for point in part], 12.5, "right"),
            ([point.label for point in part], 14, "left"),
        ):
            _write(figure, (left + offset * LETTER) / WIDTH, top, texts, OTHER, ha)
    return figure


def _write(figure: Figure, x: float, top: float, lines: Sequence[str], color: str, ha: str = "left") -> None:
    """Writes lines of text; `top` is in inches from the bottom of the figure."""
    for number, line in enumerate(lines):
        text = figure.text(x, (top - number * LINE) / figure.get_size_inches()[1], "", va="top", ha=ha)
        text_label(line).apply_to(text, LIST_SIZE, color=color)
        text.set_in_layout(False)
