"""Compares the table of the runs here with the committed one: does its interval hold each number from here?"""

from attn_research.reports.cells import MISSING, Cell
from attn_research.reports.columns import MetricColumn
from attn_research.reports.render import TableData, markdown_code, markdown_escape

NOTE = (
    "The committed number and interval come from more seeds than the number here. The noise of few seeds can put a "
    "number outside."
)


def verify_page(here: TableData, committed: TableData) -> str:
    """Returns Markdown with a verdict for each number of `here` that has a committed interval, and their count."""
    columns = [one for one in here.columns if isinstance(one, MetricColumn)]
    own, others = _cells(here), _cells(committed)
    lines = [
        f"| | {' | '.join(markdown_escape(one.header) for one in columns)} |",
        f"| --- |{' ---: |' * len(columns)}",
    ]
    verdicts = []
    for label in here.rows:
        cells = []
        for one in columns:
            text, verdict = _compare(one, own[label, one.name], others.get((label, one.name)))
            cells.append(text)
            verdicts += [] if verdict is None else [verdict]
        lines.append(f"| {markdown_code(label)} | {' | '.join(cells)} |")
    title = [f"**{markdown_escape(here.title)}: here, and the committed interval**", ""] if here.title else []
    summary = f"{sum(verdicts)} of {len(verdicts)} numbers are inside the committed intervals. {NOTE}"
    return "\n".join([*title, *lines, "", f"- {summary}", ""])


def _cells(table: TableData) -> dict[tuple[str, str], Cell]:
    return {
        (label, one.name): cell
        for label, cells in table.rows.items()
        for one, cell in zip(table.columns, cells, strict=True)
    }


def _compare(column: MetricColumn, here: Cell, committed: Cell | None) -> tuple[str, bool | None]:
    """Returns the text of a cell, and whether the committed interval holds the number; None if there is none."""
    if here.value is None:
        return MISSING, None
    if committed is None or committed.interval is None:
        return f"{here.text}, nothing committed", None
    low, high = committed.interval
    # Both are compared as printed: numbers that read the same are the same.
    digits = len(committed.text.partition(".")[2])
    number = column.format_value(here.value, digits)
    inside = low <= here.value <= high or number in committed.interval_text[1:-1].split(", ")
    return f"{number} {'inside' if inside else '**outside**'} {committed.interval_text}", inside
