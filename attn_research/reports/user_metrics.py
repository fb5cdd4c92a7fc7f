"""Metrics of users' own files, computed from the outputs of finished runs and added to their records."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attn_research import storage
from attn_research.config import Config
from attn_research.errors import UserError
from attn_research.metrics import METRICS
from attn_research.metrics.user import count
from attn_research.registry import Spec
from attn_research.reports.columns import MetricColumn, column
from attn_research.runs import records
from attn_research.variants import fingerprint

Record = Mapping[str, Any]


def add(records_by_config: Mapping[Config, Record], runs: Path, names: Sequence[str]) -> dict[Config, Record]:
    """Returns the records with the users' metrics that a table shows.

    A metric is computed from `runs/<id>/outputs/<split>.jsonl`. A record whose run is not in `runs` has the metric only
    if it was saved with it.

    Args:
      runs: the directory of run directories.
      names: the table's columns; those of built-in metrics and of counts change nothing.

    Raises:
      UserError: the outputs are damaged, the user's function fails, or a saved metric comes from another version of
        the user's file.
    """
    columns = [one for one in map(column, names) if isinstance(one, MetricColumn) and one.metric.name not in METRICS]
    if not columns:
        return dict(records_by_config)
    return {config: _extend(record, runs / record["id"], columns) for config, record in records_by_config.items()}


def _extend(record: Record, directory: Path, columns: Sequence[MetricColumn]) -> Record:
    splits, has_outputs = dict(record["splits"]), records.holds(directory, record)
    for table_column in columns:
        split, name = splits.get(table_column.split), table_column.metric.name
        if split is None:
            continue
        if has_outputs:
            splits[table_column.split] = _measure(split, table_column, directory)
        elif name in split["metrics"] and split["metric_code"][name] != fingerprint(Spec(name), "metric"):
            raise UserError(
                f"{table_column.name} of record {record['id']} was computed with another version of "
                f"{Spec(name).module}, and {directory} does not hold its outputs"
            )
    return {**record, "splits": splits}


def _measure(split: Mapping[str, Any], table_column: MetricColumn, directory: Path) -> dict[str, Any]:
    """A split of a record with the column's metric."""
    name, metric = table_column.metric.name, table_column.metric
    if evaluation := split.get("evaluation"):
        directory = directory / "evaluations" / evaluation["id"]
    file = directory / "outputs" / f"{table_column.split.partition('@')[0]}.jsonl"
    lines = storage.read(file).decode().split("\n")
    counts = count(name, map(json.loads, filter(None, lines)))
    return {
        **split,
        "metrics": {**split["metrics"], name: metric.value(*counts)},
        "items": {**split["items"], name: dict(zip(metric.parts, map(records.pack, counts), strict=True))},
        "metric_code": {**split.get("metric_code", {}), name: fingerprint(Spec(name), "metric")},
    }
