"""Charts of a page as Vega-Lite specs. Labels are data, never parts of an expression.

Colors and fonts come from the theme of the page. The parameter `focus` is the label of the one row that stays visible.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import altair as alt
import numpy as np

from attn_research.reports.columns import MetricColumn
from attn_research.reports.cost import LOG_FROM, cost_points, pareto_front
from attn_research.reports.panels import Line, Panel
from attn_research.reports.quality_axis import LogScale
from attn_research.reports.render import TableData

# Second channels beside color. As they have other periods than the seven colors, pairs repeat late.
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3])
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross")
HEIGHT = 260  # pixels
MIN_GAP = 0.06  # between two ticks of a logarithmic axis, as a share of it
VISIBLE = "focus === null || datum.row === focus"


class Chart(NamedTuple):
    """Panels beside each other, with one caption."""

    title: str
    caption: str
    panels: list[dict[str, Any]]  # "title" and "spec" of each


def line_chart(title: str, panels: Sequence[Panel], caption: str, labels: Sequence[str]) -> Chart:
    """Returns a chart of lines with bands.

    Args:
      labels: of all rows of the page, whose order sets their colors.
    """
    specs = [{"title": panel.title, "spec": _lines_spec(panel, labels)} for panel in panels]
    return Chart(title, " ".join(caption.split()), specs)


def cost_chart(data: TableData, labels: Sequence[str]) -> Chart | None:
    """Returns the chart of a table of a metric and a cost, as made by `cost_table`; None if no row has both.

    Args:
      labels: as in `line_chart`.
    """
    points, (quality, cost) = cost_points(data), data.columns
    if not points:
        return None
    metric = cast(MetricColumn, quality).metric
    lower_is_better = bool(metric.lower_is_better)
    front = pareto_front([(point.cost, point.quality) for point in points], (True, lower_is_better))
    scale = LogScale.of([point.quality for point in points], metric)
    rows = [
        {
            "row": point.label,
            "x": point.cost,
            "y": point.quality,
            "low": point.interval and point.interval[0],
            "high": point.interval and point.interval[1],
            "cost": point.cost_text,
            "front": front.index(i) if i in front else None,
        }
        for i, point in enumerate(points)
    ]
    caption = "Line: the Pareto front. Vertical lines: 95 % bootstrap confidence intervals."
    spec = _cost_spec(rows, quality.header, cost.header, labels, scale)
    return Chart(cost.header, f"{caption} {scale.note if scale else ''}".strip(), [{"title": "", "spec": spec}])


def _lines_spec(panel: Panel, labels: Sequence[str]) -> dict[str, Any]:
    rows = list(itertools.chain.from_iterable(map(_points, panel.lines)))
    x_scale = alt.Scale(type="log") if panel.log_x else alt.Scale(zero=False, nice=False, padding=12)
    y_scale = alt.Scale(type="log") if panel.log_y else alt.Scale(zero=False)
    x = alt.X("x:Q", title=panel.x_label, scale=x_scale, axis=alt.Axis(tickMinStep=1))
    base = alt.Chart(alt.InlineData(values=rows)).encode(x=x, color=_color(labels))
    y = alt.Y("y:Q", title=panel.y_label, scale=y_scale)
    opacity = min(0.16, max(0.04, 1.5 / max(1, len(panel.lines))))  # many bands hide each other
    band = base.mark_area().encode(y=alt.Y("low:Q", title=panel.y_label), y2="high:Q", opacity=_opacity(opacity, 0.0))
    lines = base.mark_line(strokeWidth=1.6).encode(y=y, strokeDash=_dash(labels), opacity=_opacity(1.0, 0.15))
    marks = base.mark_point(filled=True, size=34).encode(
        y=y, shape=_shape(labels), opacity=_opacity(1.0, 0.1), tooltip=_tooltip(panel.x_label, panel.y_label)
    )
    return _finish(alt.layer(band, lines, marks))


def _points(line: Line) -> list[dict[str, Any]]:
    """Returns the points of a line; a number that is not finite is None."""
    nothing = [math.nan] * len(line.x)
    sides = [line.y, nothing if line.low is None else line.low, nothing if line.high is None else line.high]
    columns = [[_finite(value) for value in side] for side in (line.x, *sides)]
    return [
        {"row": line.label, "x": x, "y": y, "low": low, "high": high} for x, y, low, high in zip(*columns, strict=True)
    ]


def _finite(value: float | np.floating) -> float | None:
    """Returns a number with six significant digits, or None."""
    return float(f"{value:.6g}") if np.isfinite(value) else None


def _cost_spec(
    rows: list[dict[str, Any]], quality: str, cost: str, labels: Sequence[str], scale: LogScale | None
) -> dict[str, Any]:
    """Returns the spec of points. With a logarithmic scale, y is the distance from the best value."""
    costs = [row["x"] for row in rows]
    is_log = min(costs) > 0 and max(costs) >= LOG_FROM * min(costs)
    x_scale = alt.Scale(type="log", nice=False, padding=24) if is_log else alt.Scale(zero=False, padding=24)
    x = alt.X("x:Q", title=cost, scale=x_scale, axis=alt.Axis(format="~s", tickCount=6))
    base = alt.Chart(alt.InlineData(values=rows)).encode(x=x)
    y_scale, axis = alt.Scale(zero=False, padding=12), alt.Axis()
    names = {"y": "y", "low": "low", "high": "high"}
    if scale:
        sign = 1 if scale.lower_is_better else -1
        names = {name: f"{name}_distance" for name in names}
        for row in rows:
            row |= {f"{name}_distance": row[name] and sign * (row[name] - scale.best) for name in ("y", "low", "high")}
        y_scale = alt.Scale(type="symlog", constant=scale.width, reverse=not scale.lower_is_better, nice=False)
        axis = alt.Axis(
            labelExpr=f"format({scale.best} + {sign} * datum.value, '~g')", values=_ticks(rows, scale.width)
        )
    y = alt.Y(f"{names['y']}:Q", title=quality, scale=y_scale, axis=axis)
    low = alt.Y(f"{names['low']}:Q", title=quality, scale=y_scale, axis=axis)
    front = base.transform_filter("datum.front !== null").mark_line(strokeWidth=1.2).encode(y=y, order="front:O")
    color, faint = _color(labels), _opacity(1.0, 0.12)
    intervals = base.mark_rule(strokeWidth=1).encode(y=low, y2=f"{names['high']}:Q", color=color, opacity=faint)
    tooltip = [alt.Tooltip("cost:N", title=cost), *_tooltip(cost, quality)]
    marks = base.mark_point(filled=True, size=70).encode(
        y=y, color=color, shape=_shape(labels), opacity=faint, tooltip=[tooltip[1], tooltip[0], *tooltip[3:]]
    )
    return _finish(alt.layer(front, intervals, marks))


def _ticks(rows: Sequence[dict[str, Any]], width: float) -> list[float]:
    """Returns distances from the best value for the ticks of a logarithmic axis, of which no two are close."""
    farthest = 1.3 * max(row["y_distance"] for row in rows)
    gap = MIN_GAP * math.asinh(farthest / width)
    ticks = [0.0]
    for distance in (digit * 10.0**exponent for exponent in range(-3, 4) for digit in (1, 2, 5)):
        if distance <= farthest and math.asinh(distance / width) - math.asinh(ticks[-1] / width) >= gap:
            ticks.append(distance)
    return ticks


def _tooltip(x: str, y: str) -> list[alt.Tooltip]:
    return [
        alt.Tooltip("row:N", title="row"),
        alt.Tooltip("x:Q", title=x),
        alt.Tooltip("y:Q", title=y, format=".4~g"),
        alt.Tooltip("low:Q", title="from", format=".4~g"),
        alt.Tooltip("high:Q", title="to", format=".4~g"),
    ]


def _color(labels: Sequence[str]) -> alt.Color:
    return alt.Color("row:N", scale=alt.Scale(domain=list(labels)), legend=None)


def _dash(labels: Sequence[str]) -> alt.StrokeDash:
    ranges = [list(dash) for dash, _ in zip(itertools.cycle(DASHES), labels, strict=False)]
    return alt.StrokeDash("row:N", scale=alt.Scale(domain=list(labels), range=ranges), legend=None)


def _shape(labels: Sequence[str]) -> alt.Shape:
    shapes = [shape for shape, _ in zip(itertools.cycle(SHAPES), labels, strict=False)]
    return alt.Shape("row:N", scale=alt.Scale(domain=list(labels), range=shapes), legend=None)


def _opacity(visible: float, faint: float) -> Any:
    return alt.when(VISIBLE).then(alt.value(visible)).otherwise(alt.value(faint))


def _finish(chart: alt.LayerChart | alt.FacetChart) -> dict[str, Any]:
    focused = chart.add_params(alt.param(name="focus", value=None)).properties(width="container", height=HEIGHT)
    spec = focused.to_dict()
    del spec["config"]  # the theme of the page takes its place
    return spec
