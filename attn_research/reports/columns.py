"""The columns of a table: each computes and formats a cell from the records of a row."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from attn_research.config import Config, field_types, flatten, unflatten
from attn_research.errors import UserError
from attn_research.metrics import METRICS, Comparison, Metric, Scores, user
from attn_research.metrics.macro import join_tasks, macro_average
from attn_research.metrics.metric import contrast
from attn_research.metrics.statistics import has_enough_seeds
from attn_research.registry import nearest
from attn_research.reports.cells import MISSING, Cell, Record, Rows, filter_task
from attn_research.reports.dev_curves import STEPS_TO, StepsToColumn, steps_to_column
from attn_research.reports.slices import Condition, format_slices, parse_slices, select_parts
from attn_research.runs.records import unpack


def recorded_name(metric: str, split: Mapping[str, Any]) -> str | None:
    """Returns the name of a metric in a record's split, or None if it was not measured.

    Old records have only the AER of free outputs, under the name `aer`. New records call it `aer_free`, and their `aer`
    is the AER under teacher forcing.
    """
    metrics = split["metrics"]
    if metric in ("aer", "aer_free") and "aer" in metrics and "aer_free" not in metrics:
        return "aer" if metric == "aer_free" else None
    return metric if metric in metrics else None


@dataclass(frozen=True)
class RecordColumn:
    """A column of values that the records hold, without intervals."""

    name: str
    header: str
    cell: Callable[[Sequence[Record]], Cell]
    task: str = ""  # only of this task's runs; "": of all

    def cells(self, rows: Rows) -> dict[str, Cell]:
        rows = filter_task(rows, self.task)
        return {label: self.cell(records) if records else Cell(None, MISSING) for label, records in rows.items()}


@dataclass(frozen=True)
class MetricColumn:
    """A column of a metric on a split, such as `test/exact`, with intervals and marks."""

    name: str
    header: str
    split: str
    metric: Metric
    task: str = ""  # only of this task's runs; "": of all
    conditions: tuple[Condition, ...] = ()  # on the items
    minus: tuple[Condition, ...] = ()  # on the items whose value is subtracted; (): nothing is
    macro: bool = False  # the mean over all tasks of the table

    @property
    def title(self) -> str:
        """The header without unit and direction, for a sentence."""
        return self.header.removesuffix(" ↓").removesuffix(" ↑").removesuffix(", %")

    def cells(self, rows: Rows, comparison: Comparison) -> dict[str, Cell]:
        """Returns the cell of every row, from the comparison of `rows`."""
        digits = self.digits(comparison)
        cells = {label: self._cell(comparison, label, digits) for label in comparison.rows}
        return {label: cells[label] if label in cells else Cell(None, MISSING) for label in rows}

    def comparison(self, rows: Rows) -> Comparison:
        """Returns the comparison of all rows that have this metric, on the runs of this column's task.

        Raises:
          UserError: no row has it, or the rows were tested on different items.
        """
        rows = filter_task(rows, self.task)
        tasks = list(dict.fromkeys(r["config"]["data.task"] for records in rows.values() for r in records))
        score = functools.partial(self._macro_scores, tasks) if self.macro else self._scores
        scores = {label: score(records) for label, records in rows.items()}
        if any(rows.values()) and not any(scores.values()):
            if self.conditions and any(self._splits(records) for records in rows.values()):
                raise UserError(f"no record has what {self.name!r} needs: the attributes and the metric of every item")
            splits = [record["splits"] for records in rows.values() for record in records]
            known = {f"{split}/{metric}" for one in splits for split in one for metric in one[split]["metrics"]}
            raise UserError(f"no record has {self.name!r}; {nearest(self.name, known)}")
        metric = macro_average(self.metric, len(tasks)) if self.macro else self.metric
        return Comparison(metric, {label: row for label, row in scores.items() if row})

    def _splits(self, records: Sequence[Record]) -> list[tuple[int, str, Mapping[str, Any]]]:
        """Returns seed, recorded name of the metric, and split of the records that have this metric."""
        splits = [(r["config"]["seed"], r["splits"][self.split]) for r in records if self.split in r["splits"]]
        named = [(seed, recorded_name(self.metric.name, split), split) for seed, split in splits]
        return [(seed, name, split) for seed, name, split in named if name is not None]

    def can_slice(self, name: str, split: Mapping[str, Any]) -> bool:
        """Whether a split has the attributes and the metric of every item. Early records have no attributes."""
        return name in split["items"] and "attributes" in split

    def _scores(self, records: Sequence[Record]) -> Scores | None:
        with_metric = self._splits(records)
        if self.conditions:
            with_metric = [one for one in with_metric if self.can_slice(*one[1:])]
        if not with_metric:
            return None
        seeds, names, splits = zip(*with_metric, strict=True)
        if not all(name in split["items"] for name, split in zip(names, splits, strict=True)):
            values = [split["metrics"][name] for name, split in zip(names, splits, strict=True)]
            return Scores.without_items(seeds, [math.nan if value is None else value for value in values])
        items = [split["items"][name] for name, split in zip(names, splits, strict=True)]
        parts = [np.stack([unpack(item[part]) for item in items]) for part in self.metric.parts]
        if self.conditions:
            parts = select_parts(parts, splits[0], self.conditions, self.minus)  # all rows have the same items
        return Scores(seeds, tuple(parts))

    def _macro_scores(self, tasks: Sequence[str], records: Sequence[Record]) -> Scores | None:
        by_task = [[record for record in records if record["config"]["data.task"] == task] for task in tasks]
        return join_tasks(self.metric, [self._scores(of_task) for of_task in by_task])

    def _cell(self, comparison: Comparison, label: str, digits: int) -> Cell:
        mean, interval = comparison.means[label], comparison.interval(label)
        if math.isnan(mean):
            return Cell(None, MISSING)
        low_high = ", ".join(self.format_value(bound, digits) for bound in interval) if interval else ""
        mark = self._mark(comparison, label)
        return Cell(mean, self.format_value(mean, digits), interval, f"[{low_high}]" if interval else "", mark)

    def _mark(self, comparison: Comparison, label: str) -> Literal["", "best", "tied"]:
        """Returns no mark if no value is better, there is one row, or the best row has too few seeds to compare."""
        if self.metric.lower_is_better is None:
            return ""
        best = comparison.best
        if len(comparison.rows) == 1 or not has_enough_seeds(comparison.rows[best]):
            return ""
        if label == best:
            return "best"
        return "tied" if label in comparison.tied else ""

    def detectable(self, comparison: Comparison, digits: int) -> str | None:
        """Formats the smallest detectable difference from the best row.

        "none" if it is beyond the metric's range; None if no value is better or no row is tested.
        """
        if self.metric.lower_is_better is None or (smallest := comparison.detectable()) is None:
            return None
        beyond = smallest > self.metric.maximum - self.metric.minimum
        return "none" if beyond else self.format_value(smallest, digits)

    def digits(self, comparison: Comparison) -> int:
        """Returns the number of decimals that prints two significant digits of the median interval width."""
        intervals = filter(None, map(comparison.interval, comparison.rows))
        widths = [(high - low) * (100 if self.metric.percent else 1) for low, high in intervals if high > low]
        digits = 1 - math.floor(math.log10(np.median(widths))) if widths else 2
        return min(max(digits, 1), 2 if self.metric.percent else 4)

    def format_value(self, value: float, digits: int) -> str:
        """Formats a value, in percent if the metric is a share."""
        return f"{value * (100 if self.metric.percent else 1):.{digits}f}"


Column = RecordColumn | MetricColumn | StepsToColumn


def format_si(value: float) -> str:
    """Formats with three significant digits and an SI prefix: 38200 as `38.2 k`."""
    for factor, prefix in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor * 0.9995:
            return f"{value / factor:#.3g}".rstrip(".") + f" {prefix}"
    return f"{value:.0f}"


def format_bytes(value: float) -> str:
    """Formats a number of bytes with three significant digits and an SI prefix: 412000000 as `412 MB`."""
    text = format_si(value)
    return f"{text}B" if text[-1].isalpha() else f"{text} B"


def _count_cell(name: str) -> Callable[[Sequence[Record]], Cell]:
    """Returns a function that formats a count of the records; its range if they differ."""

    def cell(records: Sequence[Record]) -> Cell:
        values = sorted({record[name] for record in records})
        return Cell(float(np.mean(values)), " to ".join(dict.fromkeys([format_si(values[0]), format_si(values[-1])])))

    return cell


def _milliseconds(records: Sequence[Record]) -> Cell:
    idle_seconds = [record["seconds"]["step"] for record in records if record["idle"]]
    if not idle_seconds:
        return Cell(None, MISSING)
    value = 1000 * float(np.mean(idle_seconds))
    return Cell(value, f"{value:.1f}")


def _peak_memory(records: Sequence[Record]) -> Cell:
    values = [record["peak_memory"] for record in records if record.get("peak_memory") is not None]
    if not values:
        return Cell(None, MISSING)
    value = float(np.mean(values))
    return Cell(value, format_bytes(value))


def _seeds(records: Sequence[Record]) -> Cell:
    count = len({record["config"]["seed"] for record in records})  # a row may have several tasks
    return Cell(count, str(count))


RECORD_COLUMNS = {
    column.name: column
    for column in (
        RecordColumn("parameters", "parameters", _count_cell("parameters")),
        RecordColumn("flops_per_step", "FLOPs per step", _count_cell("flops_per_step")),
        RecordColumn("ms", "ms per step", _milliseconds),
        RecordColumn("peak_memory", "peak memory", _peak_memory),
        RecordColumn("seeds", "seeds", _seeds),
    )
}


def _field_cell(name: str) -> Callable[[Sequence[Record]], Cell]:
    """Returns a function that shows a config field of the records; all its values if they differ."""

    def cell(records: Sequence[Record]) -> Cell:
        values = list(dict.fromkeys(flatten(unflatten(record["config"]))[name] for record in records))
        number = values[0] if len(values) == 1 and type(values[0]) in (int, float) else None
        return Cell(number, ", ".join(map(str, values)))

    return cell


def _split_outside(text: str, separators: str) -> tuple[str, str, str]:
    """Splits at the first of `separators` that is not inside brackets, as `str.partition` does."""
    depth = 0
    for index, character in enumerate(text):
        depth += (character in "([") - (character in ")]")
        if character in separators and depth == 0:
            return text[:index], character, text[index + 1 :]
    return text, "", ""


MACRO = "macro"
EXAMPLES = ("test/exact", "steps_to:dev/exact>=0.9")


def column(name: str) -> Column:
    """Returns the column of a name, which may have a prefix `task:` or, with options, `task(longest=4):`.

    `macro:split/metric` is the mean over all tasks of the runs, for rows and seeds that have all tasks.
    Without the prefix it is a key of RECORD_COLUMNS, a config field, `steps_to:dev/metric>=value`, or `split/metric`,
    where the split may be a slice, `test[length>20]/exact`, or a difference of two slices,
    `test[length<=10 minus length>20]/exact`. The metric of a split is a key of METRICS or, from a user's file,
    `FILE.py:name`.

    Raises:
      UserError: the name is unknown; the message names the nearest match.
    """
    if name.startswith(STEPS_TO):
        return steps_to_column(name)
    task, separator, rest = _split_outside(name, ":/")
    if separator == ":":
        unprefixed = column(rest)
        if task == MACRO and isinstance(unprefixed, MetricColumn):
            return replace(unprefixed, name=name, header=f"mean over tasks: {unprefixed.header}", macro=True)
        return replace(unprefixed, name=name, header=f"{task}: {unprefixed.header}", task=task)
    split, slash, metric = _split_outside(name, "/")
    if name in RECORD_COLUMNS:
        return RECORD_COLUMNS[name]
    fields = field_types(Config())
    if name in fields:
        return RecordColumn(name, name, _field_cell(name))
    if not slash:
        raise UserError(f"a table has no column {name!r}; {nearest(name, [*RECORD_COLUMNS, *EXAMPLES, *fields])}")
    if "=" in metric and "(" not in metric:
        raise UserError(f"a table has no column {name!r}; did you mean {STEPS_TO}{name}?")
    if metric not in METRICS and ":" not in metric:
        raise UserError(f"column {name!r} has no metric {metric!r}; {nearest(metric, METRICS)}")
    inner = METRICS[metric] if metric in METRICS else user.find(metric)
    split, bracket, text = split.partition("[")
    conditions, minus = parse_slices(text.removesuffix("]")) if bracket else ((), ())
    inner = contrast(inner) if minus else inner
    items = f" ({format_slices(conditions, minus)})" if conditions else ""
    header = f"{split.replace('_', ' ')}{items} {inner.label}{', %' if inner.percent else ''}"
    direction = {True: " ↓", False: " ↑", None: ""}[inner.lower_is_better]
    return MetricColumn(name, header + direction, split, inner, conditions=conditions, minus=minus)


def column_of_records(name: str, rows: Rows) -> Column:
    """Returns `column(name)`, but for AER that of free outputs if a record has none under teacher forcing."""
    requested = column(name)
    if not (isinstance(requested, MetricColumn) and requested.metric.name == "aer"):
        return requested
    records = [record for records in filter_task(rows, requested.task).values() for record in records]
    free = column(f"{name}_free")
    splits = [record["splits"][requested.split] for record in records if requested.split in record["splits"]]
    old = any(recorded_name("aer_free", split) == "aer" for split in splits)
    return free if old else requested
