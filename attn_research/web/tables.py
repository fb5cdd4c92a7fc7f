"""Tables of a page as plain values, which the template escapes: results, claims, configs, provenance."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from attn_research.config import flatten, unflatten
from attn_research.reports.cells import Cell, Record, Rows
from attn_research.reports.claims import JudgedClaim
from attn_research.reports.claims_page import EvidenceText, describe_evidence
from attn_research.reports.render import FULL_SIZE, TableData

VERSIONS = ("attn_research", "python", "jax", "jaxlib", "flax", "optax", "numpy")


class Bar(NamedTuple):
    """The place of a number and its interval in the range of a column, in percent."""

    low: float
    middle: float
    high: float


class CellView(NamedTuple):
    """A cell and, if it has an interval, its place in the range of the column."""

    cell: Cell
    bar: Bar | None


class ResultsView(NamedTuple):
    """A table of results."""

    title: str
    headers: list[str]
    rows: list[tuple[str, list[CellView]]]
    published: list[tuple[str, list[CellView]]]
    notes: list[list[tuple[bool, str]]]  # parts of each note: whether it is code, and its text


class ClaimView(NamedTuple):
    """A claim with its verdict and evidence."""

    text: str
    verdict: str
    source: str
    evidence: list[EvidenceText]


class ConfigsView(NamedTuple):
    """The config fields of all rows: those that differ, and those that are the same."""

    rows: list[str]
    differing: dict[str, list[str]]  # the value of every row
    shared: dict[str, str]


def results_view(table: TableData) -> ResultsView:
    """Returns a table, with the place of every interval in the range of its column."""
    ranges = [_range(cells) for cells in zip(*table.rows.values(), strict=True)]
    rows = [(label, [*map(_cell_view, cells, ranges)]) for label, cells in table.rows.items()]
    published = [
        (label + FULL_SIZE, [CellView(cell, None) for cell in cells]) for label, cells in table.published.items()
    ]
    headers = [column.header for column in table.columns]
    return ResultsView(table.title, headers, rows, published, [split_code(note) for note in table.notes])


def _range(cells: Iterable[Cell]) -> tuple[float, float] | None:
    """Returns the range of the intervals of a column; None without intervals."""
    ends = [end for cell in cells for end in cell.interval or ()]
    return (min(ends), max(ends)) if ends and min(ends) < max(ends) else None


def _cell_view(cell: Cell, ends: tuple[float, float] | None) -> CellView:
    if ends is None or cell.interval is None or cell.value is None:
        return CellView(cell, None)
    low, high = ends
    places = (cell.interval[0], cell.value, cell.interval[1])
    return CellView(cell, Bar(*(round(100 * (place - low) / (high - low), 2) for place in places)))


def split_code(text: str) -> list[tuple[bool, str]]:
    """Returns the parts of a note: whether each is code, which is between backticks, and its text."""
    return [(bool(i % 2), part) for i, part in enumerate(text.split("`")) if part]


def claims_view(judged: Sequence[JudgedClaim]) -> list[ClaimView]:
    """Returns the claims with their verdicts."""
    return [
        ClaimView(one.claim.text, str(one.verdict), one.claim.source, [*map(describe_evidence, one.evidence)])
        for one in judged
    ]


def configs_view(rows: Rows) -> ConfigsView:
    """Returns the config fields of the rows. A field that has several values in a row shows all of them."""
    values = {label: _field_values(records) for label, records in rows.items() if records}
    names = sorted({name for fields in values.values() for name in fields} - {"seed"})
    table = {name: [fields.get(name, "") for fields in values.values()] for name in names}
    return ConfigsView(
        list(values),
        {name: cells for name, cells in table.items() if len(set(cells)) > 1},
        {name: cells[0] for name, cells in table.items() if len(set(cells)) == 1},
    )


def _field_values(records: Sequence[Record]) -> dict[str, str]:
    configs = [flatten(unflatten(record["config"])) for record in records]
    return {name: ", ".join(dict.fromkeys(str(config[name]) for config in configs)) for name in configs[0]}


def provenance(records: Sequence[Record]) -> dict[str, str]:
    """Returns where the records come from: commits, versions, machines, data and dates, with counts if they differ."""
    dates = sorted(str(record["date"]) for record in records)
    return {
        "records": str(len(records)),
        "commit": _count(_commit(record) for record in records),
        **{name: _count(str(record["versions"].get(name)) for record in records) for name in VERSIONS},
        "machine": _count(f"{r['machine']} ({r['device']}, threads: {r['threads']})" for r in records),
        "data": _count(f"{r['config']['data.task']} {r.get('data') or 'without fingerprint'}" for r in records),
        "trained": " to ".join(dict.fromkeys([dates[0], dates[-1]])),
    }


def _commit(record: Mapping[str, Any]) -> str:
    if not record["commit"]:
        return "none"
    return str(record["commit"]) + (" with uncommitted changes" if record["dirty"] else "")


def _count(names: Iterable[str]) -> str:
    counts = Counter(names)
    return ", ".join(name if len(counts) == 1 else f"{name} ({count})" for name, count in counts.items())
