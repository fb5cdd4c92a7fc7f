"""Dev metrics by training step, and the column `steps_to:dev/METRIC>=VALUE`, which reads them.

A record's field `dev` has the list `step` and, for every dev metric, a list of the same length, with null where the
metric is not finite. Records of earlier versions have no such field.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from attn_research.errors import UserError, nearest
from attn_research.metrics import METRICS, Metric
from attn_research.reports.cells import MISSING, Cell, Record, Rows, filter_task

STEPS_TO = "steps_to:"
FORM = "steps_to:dev/METRIC>=VALUE (<= if lower is better)"


class DevCurve(NamedTuple):
    """A dev metric at the evaluated steps of a run."""

    steps: np.ndarray  # [n]
    values: np.ndarray  # [n], nan where the metric is not finite

    def first_step(self, target: float, lower_is_better: bool) -> float:
        """Returns the first step whose value is `target` or better; inf if there is none."""
        reached = self.values <= target if lower_is_better else self.values >= target
        return float(self.steps[np.argmax(reached)]) if reached.any() else math.inf


def dev_curve(record: Record, metric: str) -> DevCurve | None:
    """Returns the curve of a dev metric; None if the record does not have it."""
    lists = record.get("dev") or {}
    return DevCurve(np.array(lists["step"]), np.array(lists[metric], float)) if metric in lists else None


def check_recorded(metric: str, rows: Rows) -> None:
    """Checks that a record has the curve of a dev metric, unless no record has any curve.

    Raises:
      UserError: records have other dev metrics, but not this one; the message names the nearest match.
    """
    records = [record for row in rows.values() for record in row]
    known = {name for record in records for name in record.get("dev") or {}} - {"step"}
    if known and metric not in known:
        raise UserError(f"no record has the dev metric {metric!r}; {nearest(metric, known)}")


@dataclass(frozen=True)
class StepsToColumn:
    """A column of the first evaluated step at which a dev metric reaches a target: the median over seeds.

    A seed that does not reach the target counts as larger than every step.
    """

    name: str
    header: str
    metric: Metric
    target: float  # in the units of a record
    task: str = ""  # only of this task's runs; "": of all

    def cells(self, rows: Rows) -> dict[str, Cell]:
        """Returns the cell of every row.

        Raises:
          UserError: records have dev curves, but not of this metric.
        """
        rows = filter_task(rows, self.task)
        check_recorded(self.metric.name, rows)
        return {label: self._cell(records) for label, records in rows.items()}

    def first_step(self, record: Record) -> float | None:
        """Returns the first evaluated step that reaches the target; inf if none does, None without a dev curve."""
        curve = dev_curve(record, self.metric.name)
        return None if curve is None else curve.first_step(self.target, bool(self.metric.lower_is_better))

    def _cell(self, records: Sequence[Record]) -> Cell:
        """Returns the median; if a seed does not reach the target, also how many do."""
        firsts = [(first, record) for record in records if (first := self.first_step(record)) is not None]
        if not firsts:
            return Cell(None, MISSING)
        steps = [first for first, _ in firsts]
        reached = sum(map(math.isfinite, steps))
        middle = float(np.median(steps))
        # A lower bound: a seed that stopped without reaching the target needs more than its last step.
        bound = np.median([first if math.isfinite(first) else record["dev"]["step"][-1] for first, record in firsts])
        text = f"{middle:.0f}" if math.isfinite(middle) else f"> {bound:.0f}"
        return Cell(middle, text if reached == len(steps) else f"{text} ({reached} of {len(steps)} reached)")


def steps_to_column(name: str) -> StepsToColumn:
    """Returns the column of a name such as `steps_to:dev/exact>=0.9`.

    Raises:
      UserError: the name is not of this form; the message names the nearest valid one.
    """
    match = re.fullmatch(r"(\w+)/(\w+)\s*([<>=]+)\s*(\S+)", name.removeprefix(STEPS_TO))
    if not match:
        raise UserError(f"column {name!r} is not of the form {FORM}, as in steps_to:dev/exact>=0.9")
    split, metric_name, relation, value = match.groups()
    metric = _find_metric(name, metric_name)
    target = _parse_target(name, metric, value)
    valid = f"{STEPS_TO}dev/{metric.name}{_relation(metric)}{value}"
    if split != "dev":
        raise UserError(
            f"column {name!r} is of {split}, but runs are evaluated at several steps only on dev, as {valid}"
        )
    if relation != _relation(metric):
        better = "lower" if metric.lower_is_better else "higher"
        raise UserError(f"column {name!r} has {relation}, but {better} {metric.label} is better; did you mean {valid}?")
    printed = f"{100 * target:g} %" if metric.percent else f"{target:g}"
    header = f"steps to dev {metric.label} {'≤' if metric.lower_is_better else '≥'} {printed}"
    return StepsToColumn(name, header, metric, target)


def _relation(metric: Metric) -> str:
    return "<=" if metric.lower_is_better else ">="


def _find_metric(name: str, metric: str) -> Metric:
    known = [key for key, value in METRICS.items() if value.lower_is_better is not None]
    if metric not in known:
        raise UserError(
            f"column {name!r} has no metric {metric!r} whose values are better or worse; {nearest(metric, known)}"
        )
    return METRICS[metric]


def _parse_target(name: str, metric: Metric, text: str) -> float:
    """Returns the target in the units of a record."""
    number = text.removesuffix("%")
    try:
        target = float(number)
    except ValueError:
        raise UserError(f"column {name!r} has the target {text!r}, which is no number; its form is {FORM}") from None
    if number == text and math.isfinite(target) and metric.minimum <= target <= metric.maximum:
        return target
    share = f"{target / 100:g}"
    is_percentage = metric.percent and metric.minimum <= target / 100 <= metric.maximum
    hint = f"; did you mean {STEPS_TO}dev/{metric.name}{_relation(metric)}{share}?" if is_percentage else ""
    raise UserError(
        f"column {name!r} has the target {text}, but in records {metric.name} is a number from {metric.minimum:g} to "
        f"{metric.maximum:g}{hint}"
    )
