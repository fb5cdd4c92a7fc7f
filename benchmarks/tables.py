"""Markdown tables from records."""

import re
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from attn_research import storage
from benchmarks import measure

Record = Mapping[str, Any]
NONE = "–"
SUMMARY = "summary"  # the table of the README, from several records
TABLE_MARK = re.compile(
    r"(<!-- table of benchmarks/results(?:/(\w+)\.json)? -->\n).*?(<!-- end of table -->)", re.DOTALL
)


class Entry(NamedTuple):
    """One side of a row, over its repetitions."""

    row: str
    side: str
    facts: Mapping[str, Any]
    by_repetition: list[float | None]  # seconds per unit of work; None: too few quiet blocks
    seconds: list[float]  # of the valid repetitions; of the quiet blocks if there is only one repetition
    quiet: int
    blocks: int

    @property
    def median(self) -> float | None:
        """The median of `seconds`, if there are any."""
        return statistics.median(self.seconds) if self.seconds else None


Column = Callable[[Entry, Record], str]


def entries(record: Record) -> Iterator[Entry]:
    """Yields an entry for every side of every row."""
    needed = record["plan"]["blocks"]
    for row, sides in record["rows"].items():
        for side, side_record in sides.items():
            repetitions = side_record["repetitions"]
            medians = [measure.median(blocks, needed) for blocks in repetitions]
            seconds = [value for value in medians if value is not None]
            quiet = [value for blocks in repetitions for value in measure.quiet(blocks)]
            times = quiet if seconds and len(medians) == 1 else seconds
            yield Entry(row, side, side_record["facts"], medians, times, len(quiet), sum(map(len, repetitions)))


def number(value: float | None) -> str:
    """Formats a number with three significant digits."""
    if value is None:
        return NONE
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def spread(values: Sequence[float], scale: float = 1.0) -> str:
    """Formats values as "median [min, max]", or the only value."""
    if len(values) < 2:
        return number(scale * values[0] if values else None)
    low, high = (number(scale * end) for end in (min(values), max(values)))
    return f"{number(scale * statistics.median(values))} [{low}, {high}]"


def ratios(entry: Entry, first: Entry) -> list[float]:
    """Returns the time of a side divided by that of the first side, for each repetition."""
    pairs = zip(entry.by_repetition, first.by_repetition, strict=True)
    return [seconds / reference for seconds, reference in pairs if seconds and reference]


def timing(record: Record, title: str, columns: Mapping[str, Column], scale: float = 1e3, unit: str = "ms") -> str:
    """Returns a table with one line per side: time, relative time, further columns, and quiet blocks.

    Args:
      columns: further columns, `{header: function of entry and record}`.
      scale: factor from seconds to `unit`.
    """
    side_entries = list(entries(record))
    first = {entry.row: entry for entry in reversed(side_entries)}
    header = ["", "side", unit, "relative time", *columns, "quiet blocks"]
    lines, row = [], None
    for entry in side_entries:
        ratio = NONE if entry is first[entry.row] else spread(ratios(entry, first[entry.row]))
        cells = [column(entry, record) for column in columns.values()]
        label = entry.row if entry.row != row else ""
        quiet = f"{entry.quiet} of {entry.blocks}"
        lines.append([label, entry.side, spread(entry.seconds, scale), ratio, *cells, quiet])
        row = entry.row
    return page(title, header, lines, [*notes(record, side_entries), provenance(record)])


def notes(record: Record, side_entries: Sequence[Entry]) -> Iterator[str]:
    """Yields notes on how to read the table, and on sides that lack quiet blocks or a package."""
    repetitions, blocks = len(side_entries[0].by_repetition), record["plan"]["blocks"]
    quiet = f"at least {blocks} quiet blocks, in which no other process used the CPU"
    if repetitions > 1:
        yield f"Median [min, max] of {repetitions} repetitions. Each is the median of {quiet}."
    else:
        yield f"Median [min, max] of {quiet}. One repetition: differences below 10 % are within measurement noise."
    for entry in side_entries:
        valid = len(entry.by_repetition) - entry.by_repetition.count(None)
        if entry.blocks and None in entry.by_repetition:
            yield (
                f"{entry.row}, {entry.side}: {valid} of {len(entry.by_repetition)} repetitions have enough quiet "
                f"blocks ({entry.quiet} of {entry.blocks} blocks are quiet). The machine was not idle."
            )
    if record["left_out"]:
        yield f"Not measured, because PyTorch is not installed: {'; '.join(record['left_out'])}."


def provenance(record: Record) -> str:
    """Returns the date, commit, machine and versions of a record."""
    versions = [f"{name} {record['versions'][name]}" for name in ("jax", "flax", "torch") if record["versions"][name]]
    changes = ", with uncommitted changes" if record["dirty"] else ""
    commit = f"commit `{(record['commit'] or 'unknown')[:10]}`{changes}"
    machine = f"{record['machine']} ({record['device']}, threads: {record['threads']})"
    return f"{record['date'][:10]}; {commit}; {machine}; {', '.join(versions)}."


def page(title: str, header: Sequence[str], lines: Sequence[Sequence[str]], notes: Sequence[str]) -> str:
    """Returns a title, a table and a list of notes."""
    rule = ["---"] + ["---" if name == "side" else "---:" for name in header[1:]]
    body = "\n".join(f"| {' | '.join(line)} |" for line in [header, rule, *lines])
    return "\n\n".join([f"**{title}**", body, "\n".join(f"- {note}" for note in notes)]) + "\n"


def fill(text: str, table_of: Callable[[str], str]) -> str:
    """Returns the text with the table of a question, or the summary, between each pair of markers."""
    return TABLE_MARK.sub(lambda match: match[1] + table_of(match[2] or SUMMARY) + match[3], text)


def fill_file(path: Path, table_of: Callable[[str], str]) -> None:
    """Fills the markers of a file."""
    storage.write(path, fill(path.read_text(encoding="utf-8"), table_of))
