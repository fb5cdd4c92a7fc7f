"""Every pair of rows of a table, compared in every metric column."""

from collections.abc import Mapping, Sequence

from attn_research.metrics import Comparison
from attn_research.metrics.difference import DifferenceTest
from attn_research.metrics.statistics import LEVEL
from attn_research.reports.cells import Rows
from attn_research.reports.columns import MetricColumn, column_of_records
from attn_research.reports.notes import DETECTABLE, list_diverged, list_missing
from attn_research.reports.render import markdown_code, markdown_escape
from attn_research.reports.tables import Table, check_alike

LEVELS = "Rows that are all distinguishable from one another"
NOTES = (
    "Difference of the means over seeds, first row minus second row [95 % bootstrap confidence interval].",
    "p: Welch's t-test over seeds and test items, after Holm's correction for all pairs of the column. At p < 0.05 two "
    "rows are distinguishable. The chance of any false difference in the column is at most 5 %.",
)


def pairs_page(table: Table, rows: Rows, missing: Mapping[str, Sequence[int]], left_out: Sequence[str] = ()) -> str:
    """Returns Markdown with a table for each metric column; diverged runs are left out.

    Args:
      rows: label to records.
      missing: for each row, the seeds that have no record.
      left_out: sentences about records that are not in `rows`.

    Raises:
      UserError: as `Table.build`.
    """
    for label, records in rows.items():
        check_alike(label, records)
    finished = {label: [r for r in records if r["status"] == "finished"] for label, records in rows.items()}
    columns = [column_of_records(name, finished) for name in table.columns]
    tables = [_pairs_table(finished, column) for column in columns if isinstance(column, MetricColumn)]
    notes = [*NOTES, *list_diverged(rows), *list_missing(missing), *left_out]
    return "\n".join([*tables, *(f"- {note}" for note in notes), ""])


def _pairs_table(rows: Rows, column: MetricColumn) -> str:
    comparison = column.comparison(rows)
    lines = [f"**{markdown_escape(column.header)}**", ""]
    if not comparison.pair_tests:
        return "\n".join([*lines, "Too few rows with three seeds to compare.", ""])
    lines += ["| first row | second row | difference | p |", "| --- | --- | ---: | ---: |"]
    for (a, b), test in comparison.pair_tests.items():
        difference = format_difference(column, test, comparison.difference(a, b))
        lines.append(f"| {markdown_code(a)} | {markdown_code(b)} | {difference} | {format_p(test)} |")
    levels = [markdown_code(label) for label in distinguishable(comparison)]
    lines += ["", f"{LEVELS} ({len(levels)}): {', '.join(levels)}."]
    if smallest := column.detectable(comparison, 2):
        lines += ["", f"{DETECTABLE}: {smallest}."]
    return "\n".join([*lines, ""])


def distinguishable(comparison: Comparison) -> list[str]:
    """Returns rows that are all distinguishable from one another, in the order of their means, from the best one on.

    The list is greedy: it takes the next row that is distinguishable from all rows before it.
    """
    tested = dict.fromkeys(label for pair in comparison.pair_tests for label in pair)
    better_first = sorted(tested, key=comparison.means.__getitem__, reverse=not comparison.metric.lower_is_better)
    tests = {frozenset(pair): test.corrected for pair, test in comparison.pair_tests.items()}
    levels: list[str] = []
    for label in better_first:
        if all(tests.get(frozenset((label, other)), 1.0) < 1 - LEVEL for other in levels):
            levels.append(label)
    return levels


def format_difference(column: MetricColumn, test: DifferenceTest, interval: tuple[float, float] | None) -> str:
    """Formats a difference with its interval, in percent if the metric is a share."""
    text = column.format_value(test.mean, 2)
    return text if interval is None else f"{text} [{', '.join(column.format_value(end, 2) for end in interval)}]"


def format_p(test: DifferenceTest) -> str:
    """Formats the corrected p of a test."""
    return "< 0.0001" if test.corrected < 1e-4 else f"{test.corrected:.4f}"
