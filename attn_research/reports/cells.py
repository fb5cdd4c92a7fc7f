"""The cells of a table, and the records that they are computed from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from attn_research.registry import Spec

Record = Mapping[str, Any]
Rows = Mapping[str, Sequence[Record]]
MISSING = "–"


@dataclass(frozen=True)
class Cell:
    """One number of a table. A `value` of None prints a dash."""

    value: float | None
    text: str
    interval: tuple[float, float] | None = None
    interval_text: str = ""
    mark: Literal["", "best", "tied"] = ""
    source: str = ""  # of a published number


def filter_task(rows: Rows, task: str) -> Rows:
    """Returns the records of a task; all if its name is empty."""

    def fits(record: Record) -> bool:
        return not task or Spec(record["config"]["data.task"]).name == task

    return {label: list(filter(fits, records)) for label, records in rows.items()}
