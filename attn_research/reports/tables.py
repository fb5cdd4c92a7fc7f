"""Tables of records: an experiment declares a `Table`, whose `build` returns a `render.TableData` to print."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from attn_research.config import Config, diff, field_types, flatten, unflatten
from attn_research.errors import UserError
from attn_research.registry import nearest
from attn_research.reports.cells import MISSING, Cell, Record, Rows
from attn_research.reports.columns import Column, MetricColumn, column, column_of_records
from attn_research.reports.notes import PUBLISHED, notes
from attn_research.reports.render import TableData

Published = Mapping[tuple[str, str], tuple[float | str, str]]
EMPTY: Mapping = MappingProxyType({})


@dataclass(frozen=True)
class Table:
    """The table of an experiment: a row for each value of `row`, with the mean over its seeds.

    Attributes:
      row: a config field, or a function from a config to a label.
      columns: `split/metric` (`test/exact`, `test_unseen/per` ...), `parameters`, `flops_per_step`, `ms`,
        `peak_memory`, `seeds` or a config field. If the runs of a row have several tasks, `task:column` shows one of
        them (`reverse:test_long/exact`). A metric from a user's file is `split/FILE.py:name`. A slice of a split is
        `test[length>20]/exact`. `steps_to:dev/exact>=0.9` is the first evaluated step at which a dev metric reaches a
        value.
      title: printed above the table.
      note: the last footnote.

    Raises:
      UserError: an unknown config field or column.
    """

    row: str | Callable[[Config], str]
    columns: tuple[str, ...]
    title: str = ""
    note: str = ""

    def __post_init__(self):
        fields = field_types(Config())
        if isinstance(self.row, str) and self.row not in fields:
            raise UserError(
                f"the row of a table is {self.row!r}, which is no config field; {nearest(self.row, fields)}"
            )
        for name in self.columns:
            column(name)

    def label(self, config: Config) -> str:
        """Returns the row label of a config."""
        return str(flatten(config)[self.row]) if isinstance(self.row, str) else self.row(config)

    def group(
        self, configs: Iterable[Config], records_by_config: Mapping[Config, Record]
    ) -> tuple[dict[str, list[Record]], dict[str, list[int]]]:
        """Returns the records of `configs` by row label, and the seeds of each row without a record, in their order."""
        rows: dict[str, list[Record]] = {}
        missing: dict[str, list[int]] = {}
        for config in configs:
            label = self.label(config)
            rows.setdefault(label, [])
            if config in records_by_config:
                rows[label].append(records_by_config[config])
            else:
                missing.setdefault(label, []).append(config.seed)
        return rows, missing

    def build(
        self,
        rows: Rows,
        published: Published = EMPTY,
        missing: Mapping[str, Sequence[int]] = EMPTY,
        left_out: Sequence[str] = (),
    ) -> TableData:
        """Returns the table of `rows` (label to records). Diverged runs are left out, and a footnote names them.

        Args:
          published: (row label, column) to (number in the units of the table, source).
          missing: for each row, the seeds without a record; a footnote names them.
          left_out: footnotes about records that are not in `rows`.

        Raises:
          UserError: the records of a row differ in more than the seed, no record has a metric, rows were tested on
            different items, or a published number has no column.
        """
        for label, records in rows.items():
            check_alike(label, records)
        finished = {label: [r for r in records if r["status"] == "finished"] for label, records in rows.items()}
        columns = [column_of_records(name, finished) for name in self.columns]
        comparisons = {one.name: one.comparison(finished) for one in columns if isinstance(one, MetricColumn)}
        cells_by_column = {
            one.name: one.cells(finished, comparisons[one.name])
            if isinstance(one, MetricColumn)
            else one.cells(finished)
            for one in columns
        }
        cells = {label: [cells_by_column[one.name][label] for one in columns] for label in rows}
        table_notes = [
            *notes(rows, columns, cells, missing, comparisons),
            *left_out,
            *([PUBLISHED] if published else []),
            self.note,
        ]
        return TableData(
            title=self.title,
            columns=columns,
            rows=cells,
            published=_published_rows(published, dict(zip(self.columns, columns, strict=True))),
            notes=list(filter(None, table_notes)),
        )


def measured(columns: Iterable[str]) -> set[tuple[str, str]]:
    """Returns split and metric of the columns of metrics. A column of AER may show that of free outputs."""
    metric_columns = [one for one in map(column, columns) if isinstance(one, MetricColumn)]
    pairs = {(one.split, one.metric.name) for one in metric_columns}
    return pairs | {(split, "aer_free") for split, metric in pairs if metric == "aer"}


def check_alike(label: str, records: Sequence[Record]) -> None:
    """Checks that the records of a row differ, for each task, only in the seed, and that no seed occurs twice."""
    configs = [unflatten(record["config"]) for record in records]
    for task in dict.fromkeys(config.data.task for config in configs):
        _check_task(label, [config for config in configs if config.data.task == task])


def _check_task(label: str, configs: Sequence[Config]) -> None:
    for config in configs[1:]:
        if others := [name for name in diff(configs[0], config) if name != "seed"]:
            raise UserError(
                f"the records of row {label!r} differ not only in the seed, but also in {', '.join(others)}"
            )
    seeds = [config.seed for config in configs]
    if duplicates := sorted({seed for seed in seeds if seeds.count(seed) > 1}):
        raise UserError(f"row {label!r} has more than one record of seed {duplicates[0]}")


def _published_rows(published: Published, columns: Mapping[str, Column]) -> dict[str, list[Cell]]:
    metric_columns = {
        name: table_column for name, table_column in columns.items() if isinstance(table_column, MetricColumn)
    }
    for label, name in published:
        if name not in metric_columns:
            raise UserError(
                f"the published number of {label!r} is for column {name!r}, but the table has no such column; "
                f"{nearest(name, metric_columns)}"
            )
    cells = {key: _published_cell(metric_columns[key[1]], *number) for key, number in published.items()}
    return {
        label: [cells.get((label, name), Cell(None, MISSING)) for name in columns]
        for label in dict.fromkeys(label for label, _ in published)
    }


def _published_cell(column: MetricColumn, number: float | str, source: str) -> Cell:
    return Cell(float(number) / (100 if column.metric.percent else 1), str(number), source=source)
