"""Tables from records, as Markdown."""

import re
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import measure

Record = Mapping[str, Any]
NONE = "–"
SUMMARY = "summary"  # the table of all records
TABLE_MARK = re.compile(
    r"(<!-- table of benchmarks/results(?:/(\w+)\.json)? -->\n).*?(<!-- end of table -->)", re.DOTALL
)


class Entry(NamedTuple):
    """One side of a row, over its repetitions."""

    row: str
    side: str
    facts: Mapping[str, Any]
    by_repetition: list[float | None]  # seconds a unit of work; None where too few blocks were quiet
    seconds: list[float]  # of the repetitions that count; of the quiet blocks of a single one
    quiet: int
    blocks: int

    @property
    def median(self) -> float | None:
        """The median."""
        return statistics.median(self.seconds) if self.seconds else None


Column = Callable[[Entry, Record], str]


def entries(record: Record) -> Iterator[Entry]:
    """Every side of every row."""
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
    """Three digits that count."""
    if value is None:
        return NONE
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def spread(values: Sequence[float], scale: float = 1.0) -> str:
    """Median [lowest, highest], or the only value."""
    if len(values) < 2:
        return number(scale * values[0] if values else None)
    low, high = (number(scale * end) for end in (min(values), max(values)))
    return f"{number(scale * statistics.median(values))} [{low}, {high}]"


def ratios(entry: Entry, first: Entry) -> list[float]:
    """Time of a side in that of the first one, repetition by repetition."""
    pairs = zip(entry.by_repetition, first.by_repetition, strict=True)
    return [one / other for one, other in pairs if one and other]


def timing(record: Record, title: str, columns: Mapping[str, Column], scale: float = 1e3, unit: str = "ms") -> str:
    """A line a side: its time, its time in that of the row's first side, the given columns and the blocks."""
    side_entries = list(entries(record))
    first = {entry.row: entry for entry in reversed(side_entries)}
    header = ["", "side", unit, "× the first", *columns, "quiet blocks"]
    lines, row = [], None
    for entry in side_entries:
        ratio = NONE if entry is first[entry.row] else spread(ratios(entry, first[entry.row]))
        more = [column(entry, record) for column in columns.values()]
        label = entry.row if entry.row != row else ""
        quiet = f"{entry.quiet} of {entry.blocks}"
        lines.append([label, entry.side, spread(entry.seconds, scale), ratio, *more, quiet])
        row = entry.row
    return page(title, header, lines, [*notes(record, side_entries), provenance(record)])


def notes(record: Record, side_entries: Sequence[Entry]) -> Iterator[str]:
    """How to read it, and what the machine or a missing package kept from being measured."""
    repetitions, blocks = len(side_entries[0].by_repetition), record["plan"]["blocks"]
    quiet = f"{blocks} or more quiet blocks; in a quiet block no other process used the processor"
    if repetitions > 1:
        yield f"Median [lowest, highest] of {repetitions} repetitions, each the median of {quiet}."
    else:
        yield f"Median [lowest, highest] of {quiet}. One time only: a difference under 10 % is not to be believed."
    for entry in side_entries:
        valid = len(entry.by_repetition) - entry.by_repetition.count(None)
        if entry.blocks and None in entry.by_repetition:
            yield (
                f"{entry.row}, {entry.side}: {valid} of {len(entry.by_repetition)} repetitions counted; blocks "
                f"counted: {entry.quiet} quiet of {entry.blocks}; the machine is not idle."
            )
    if record["left_out"]:
        yield f"Left out, because PyTorch is not installed: {'; '.join(record['left_out'])}."


def provenance(record: Record) -> str:
    """With what it was measured, where and when."""
    versions = [f"{name} {record['versions'][name]}" for name in ("jax", "flax", "torch") if record["versions"][name]]
    changes = ", with uncommitted changes" if record["dirty"] else ""
    commit = f"commit `{(record['commit'] or 'unknown')[:10]}`{changes}"
    machine = f"{record['machine']} ({record['device']}, threads: {record['threads']})"
    return f"{record['date'][:10]}; {commit}; {machine}; {', '.join(versions)}."


def page(title: str, header: Sequence[str], lines: Sequence[Sequence[str]], notes: Sequence[str]) -> str:
    """A title, a table and a list."""
    rule = ["---"] + ["---" if name == "side" else "---:" for name in header[1:]]
    body = "\n".join(f"| {' | '.join(line)} |" for line in [header, rule, *lines])
    return "\n\n".join([f"**{title}**", body, "\n".join(f"- {note}" for note in notes)]) + "\n"


def fill(text: str, table_of: Callable[[str], str]) -> str:
    """The text with the table of each question, or the summary, between the two comments that ask for it."""
    return TABLE_MARK.sub(lambda match: match[1] + table_of(match[2] or SUMMARY) + match[3], text)


def fill_file(path: Path, table_of: Callable[[str], str]) -> None:
    """The same for a file."""
    path.write_text(fill(path.read_text(encoding="utf-8"), table_of), encoding="utf-8")
