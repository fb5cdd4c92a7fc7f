"""The cells of a table, and the records that they are computed from."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from attn_research.data.task import tasks
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
    """Returns the records of a task, such as `recall` or, with only these options, `recall(longest=4)`; "": all."""
    if not task:
        return {label: list(records) for label, records in rows.items()}
    pattern = Spec(task)

    def fits(record: Record) -> bool:
        spec = Spec(record["config"]["data.task"])
        return spec.name == pattern.name and pattern.hyper.items() <= _options(spec).items()

    return {label: list(filter(fits, records)) for label, records in rows.items()}


@functools.cache
def _options(spec: Spec) -> Mapping[str, Any]:
    """Returns the options of a task: of a built-in one with the defaults, of another one those that are given."""
    built_in = not spec.module and spec.name in tasks.functions
    return tasks.bind(spec).hyper if built_in else spec.hyper
