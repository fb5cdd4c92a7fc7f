"""Every pair of rows of a table, compared in every metric column."""

from collections.abc import Sequence

from attn_research.metrics.difference import DifferenceTest
from attn_research.reports.columns import MetricColumn, Rows, column_of_records, filter_task
from attn_research.reports.render import markdown_code, markdown_escape

NOTE = """\
- Difference of the means over seeds, first row minus second row [95 % bootstrap confidence interval].
- p: Welch's t-test over seeds and test items, after Holm's correction for all pairs of the column. At p < 0.05 two \
rows are distinguishable; the chance of any false difference in the column is then at most 5 %.
"""


def pairs_page(rows: Rows, columns: Sequence[str]) -> str:
    """Returns Markdown with a table for each metric among `columns`; diverged runs are left out.

    Args:
      rows: label to records.
      columns: names of columns, as in `Table.columns`.
    """
    finished = {label: [r for r in records if r["status"] == "finished"] for label, records in rows.items()}
    all_columns = [column_of_records(name, finished) for name in columns]
    tables = [_pairs_table(finished, column) for column in all_columns if isinstance(column, MetricColumn)]
    return "\n".join([*tables, NOTE])


def _pairs_table(rows: Rows, column: MetricColumn) -> str:
    comparison = column.comparison(filter_task(rows, column.task))
    lines = [f"**{markdown_escape(column.header)}**", ""]
    if not comparison.pair_tests:
        return "\n".join([*lines, "Too few rows with three seeds to compare.", ""])
    lines += ["| first row | second row | difference | p |", "| --- | --- | ---: | ---: |"]
    for (a, b), test in comparison.pair_tests.items():
        difference = _difference(column, test, comparison.difference(a, b))
        lines.append(f"| {markdown_code(a)} | {markdown_code(b)} | {difference} | {_p(test)} |")
    smallest = comparison.detectable()
    if smallest is not None:
        beyond = smallest > column.metric.maximum - column.metric.minimum
        text = "none" if beyond else column.format_value(smallest, 2)
        lines += ["", f"Smallest difference from the best row that these seeds detect with 80 % power: {text}."]
    return "\n".join([*lines, ""])


def _difference(column: MetricColumn, test: DifferenceTest, interval: tuple[float, float] | None) -> str:
    text = column.format_value(test.mean, 2)
    return text if interval is None else f"{text} [{', '.join(column.format_value(end, 2) for end in interval)}]"


def _p(test: DifferenceTest) -> str:
    return "< 0.0001" if test.corrected < 1e-4 else f"{test.corrected:.4f}"
