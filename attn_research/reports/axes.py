"""Quality against a number: one line of points per row, with intervals, for a picture or as CSV."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from attn_research.config import Config, field_types, flatten
from attn_research.errors import UserError, nearest
from attn_research.reports.cells import Record, Rows, filter_task
from attn_research.reports.columns import MetricColumn, column, column_of_records
from attn_research.reports.render import csv_escape
from attn_research.reports.slices import bins, read_attribute, select_items
from attn_research.reports.tables import check_alike


class Point(NamedTuple):
    """The mean over seeds of one row at one value of the axis."""

    x: float
    mean: float
    interval: tuple[float, float] | None  # 95 % bootstrap confidence interval


Lines = Mapping[str, Sequence[Point]]  # by row


@dataclass(frozen=True)
class Curve:
    """The curves of an experiment: a metric of every row at several values of one field.

    Attributes:
      x: a config field with numbers, or a function from a config to a number.
      y: a column with a metric, such as `test/exact` or `recall:test/exact`.
      rows: a config field, or a function from a config to a label; None: the rows of the experiment's table.
      title: printed above the picture.
      x_label: printed below it; by default the name of the field.

    Raises:
      UserError: an unknown field or column.
    """

    x: str | Callable[[Config], float]
    y: str
    rows: str | Callable[[Config], str] | None = None
    title: str = ""
    x_label: str = ""

    def __post_init__(self):
        fields = field_types(Config())
        for name in (self.x, self.rows):
            if isinstance(name, str) and name not in fields:
                raise UserError(f"a curve has {name!r}, which is no config field; {nearest(name, fields)}")
        metric_column(self.y)

    @property
    def x_title(self) -> str:
        """The label below the picture."""
        return self.x_label or (self.x if isinstance(self.x, str) else "")

    def lines(self, by_config: Mapping[Config, Record], label: Callable[[Config], str]) -> Lines:
        """Returns the points of every row.

        Args:
          by_config: records of finished runs.
          label: the rows of the experiment's table.

        Raises:
          UserError: the runs of a point differ in more than the seed, or `x` is not a number.
        """
        one = metric_column(self.y)
        groups: dict[float, dict[str, list[Record]]] = {}
        for config, record in by_config.items():
            if record["status"] == "finished" and filter_task({"": [record]}, one.task)[""]:
                groups.setdefault(self._x(config), {}).setdefault(self._row(config, label), []).append(record)
        points = {x: line_points(one.name, rows) for x, rows in sorted(groups.items())}
        labels = dict.fromkeys(row for rows in points.values() for row in rows)
        return {row: [Point(x, *points[x][row]) for x in points if row in points[x]] for row in labels}

    def _x(self, config: Config) -> float:
        value = flatten(config)[self.x] if isinstance(self.x, str) else self.x(config)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise UserError(f"the x of a curve is {value!r}, but must be a number")
        return value

    def _row(self, config: Config, label: Callable[[Config], str]) -> str:
        if self.rows is None:
            return label(config)
        return str(flatten(config)[self.rows]) if isinstance(self.rows, str) else self.rows(config)


def metric_column(name: str) -> MetricColumn:
    """Returns the column of a name.

    Raises:
      UserError: it is not the column of a metric.
    """
    one = column(name)
    if not isinstance(one, MetricColumn):
        raise UserError(f"{name!r} is not a metric, as test/exact is")
    return one


def line_points(name: str, rows: Rows) -> dict[str, tuple[float, tuple[float, float] | None]]:
    """Returns mean and interval of a metric for every row that has it. All rows have the same draws of test items."""
    for label, records in rows.items():
        check_alike(label, records)
    one = column_of_records(name, rows)
    comparison = one.comparison(rows) if isinstance(one, MetricColumn) else None
    return (
        {}
        if comparison is None
        else {label: (comparison.means[label], comparison.interval(label)) for label in comparison.rows}
    )


def slice_columns(name: str, rows: Rows, attribute: str) -> dict[str, float]:
    """Returns the columns of a metric on slices that cover all items, with the mean of the attribute in each.

    A text has no mean; its slices are numbered from 0.

    Args:
      name: the column of the metric on the whole split.
      rows: the records of finished runs.
      attribute: of the items, such as `length`.

    Raises:
      UserError: the items have no such attribute, or the column is a slice already.
    """
    one = metric_column(name)
    if one.conditions:
        raise UserError(f"{name!r} is a slice already; name the whole split, as in {one.split}/{one.metric.name}")
    records = [record for own in filter_task(rows, one.task).values() for record in own]
    splits = [record["splits"][one.split] for record in records if one.split in record["splits"]]
    with_attributes = [split for split in splits if "attributes" in split]
    if not with_attributes:
        raise UserError(
            f"no record has the attributes of the items of {one.split!r}: they are early ones or have no such split"
        )
    values = read_attribute(with_attributes[0], attribute)
    prefix = f"{one.task}:" if one.task else ""
    result = {}
    for number, conditions in enumerate(bins(attribute, values)):
        inside = select_items(with_attributes[0], conditions)
        middle = float(values[inside].mean()) if values.dtype.kind in "iu" else float(number)
        result[f"{prefix}{one.split}[{', '.join(map(str, conditions))}]/{one.metric.name}"] = middle
    return result


def slice_lines(name: str, rows: Rows, attribute: str) -> Lines:
    """Returns the points of every row on slices by an attribute. Args and errors are as in `slice_columns`."""
    points = [(x, line_points(sliced, rows)) for sliced, x in slice_columns(name, rows, attribute).items()]
    labels = [label for label in rows if any(label in of_rows for _, of_rows in points)]
    return {label: [Point(x, *of_rows[label]) for x, of_rows in points if label in of_rows] for label in labels}


def to_csv(panels: Mapping[str, Lines], x_name: str) -> str:
    """Returns the points as CSV: panel, row, x, mean and interval, in shares and not percent."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["panel", "row", csv_escape(x_name), "mean", "low", "high"])
    for panel, lines in panels.items():
        for label, points in lines.items():
            for point in points:
                ends = point.interval or ("", "")
                writer.writerow([csv_escape(panel), csv_escape(label), point.x, point.mean, *ends])
    return file.getvalue()
