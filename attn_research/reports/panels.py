"""Panels of lines with bands, a line per row of a table, as numbers: what pictures and pages draw."""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from attn_research.errors import UserError, nearest
from attn_research.metrics import METRICS, Metric
from attn_research.reports.axes import Lines
from attn_research.reports.cells import Record, Rows
from attn_research.reports.dev_curves import DevCurve, check_recorded, dev_curve
from attn_research.reports.tables import check_alike

AXIS_CAPTION = "mean over seeds   ·   band: 95 % bootstrap confidence interval"


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


def axis_panel(title: str, x_label: str, y_label: str, lines: Lines) -> Panel:
    """Returns a panel with the means and intervals of every row; in percent if the label of y says so."""
    scale = 100 if ", %" in y_label else 1
    drawn = []
    for label, points in lines.items():
        ends = [point.interval or (math.nan, math.nan) for point in points]
        low, high = ([scale * end for end in side] for side in zip(*ends, strict=True))
        drawn.append(Line(label, [p.x for p in points], [scale * p.mean for p in points], low, high))
    return Panel(title, x_label, y_label, drawn)


def dev_panels(rows: Rows, metric: str) -> tuple[list[Panel], str]:
    """Returns the panels of a dev metric by training step, one for each task of the records, and their caption.

    A line is the mean over seeds, its band from minimum to maximum.

    Args:
      rows: label to records; diverged runs are left out.
      metric: a dev metric of the records, as `exact`.

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
    return panels, _caption([seeds for by_task in curves.values() for seeds in by_task.values()])


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
