"""Renders a table as Markdown, LaTeX or CSV."""

import csv as csv_module
import io
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from attn_research.errors import UserError
from attn_research.registry import nearest
from attn_research.reports.cells import Cell
from attn_research.reports.columns import Column, MetricColumn

FULL_SIZE = " (published, full size)"
SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",
    "]": "{]}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "†": r"$^\dagger$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
}
# First characters of a cell that a spreadsheet may evaluate.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


@dataclass(frozen=True)
class TableData:
    """A table with its numbers."""

    title: str
    columns: Sequence[Column]
    rows: Mapping[str, Sequence[Cell]]
    published: Mapping[str, Sequence[Cell]]
    notes: Sequence[str]

    def render(self, format_name: str) -> str:
        """Renders the table as `md`, `tex` (booktabs) or `csv` (raw numbers)."""
        if format_name not in FORMATS:
            raise UserError(f"a table has no format {format_name!r}; {nearest(format_name, FORMATS)}")
        return FORMATS[format_name](self)


def escape(text: str) -> str:
    """Escapes text for LaTeX."""
    return "".join(SPECIAL.get(character, character) for character in " ".join(text.split()))


def markdown_escape(text: str) -> str:
    """Escapes text for Markdown, also in a table cell."""
    return re.sub(r"([\\`*_{}\[\]<>|~$]|&(?=#?\w+;))", r"\\\1", " ".join(text.split()))


def csv_escape(text: str) -> str:
    """Escapes text that a spreadsheet would evaluate as a formula. A number stays a number."""
    try:
        float(text)
    except ValueError:
        return f"'{text}" if text.startswith(FORMULA) else text
    return text


def markdown_code(text: str) -> str:
    """Returns text as Markdown code, also in a table cell."""
    text = " ".join(text.split()).replace("|", r"\|")
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return fence + pad + text + pad + fence


def render_markdown(table: TableData) -> str:
    """Renders GitHub Markdown: a table, then the notes as a list."""
    lines = [
        ["", *(markdown_escape(column.header) for column in table.columns)],
        ["---", *["---:"] * len(table.columns)],
    ]
    lines += [[markdown_code(label), *map(_md_cell, cells)] for label, cells in table.rows.items()]
    lines += [[markdown_escape(label + FULL_SIZE), *map(_md_cell, cells)] for label, cells in table.published.items()]
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    title = [f"**{markdown_escape(table.title)}**"] if table.title else []
    return "\n\n".join([*title, body, "\n".join(f"- {note}" for note in table.notes)]).rstrip() + "\n"


def _md_cell(cell: Cell) -> str:
    text = {"best": f"**{cell.text}**", "tied": f"{cell.text}†", "": cell.text}[cell.mark]
    return " ".join(filter(None, [text, cell.interval_text, cell.source and f"({markdown_escape(cell.source)})"]))


def render_latex(table: TableData) -> str:
    """Renders a LaTeX table, which needs the package booktabs."""
    lines = [_tex_line(["", *(escape(column.header) for column in table.columns)]), r"\midrule"]
    lines += [
        _tex_line([rf"\texttt{{{escape(label)}}}", *map(_tex_cell, cells)]) for label, cells in table.rows.items()
    ]
    lines += [r"\midrule"] if table.published else []
    lines += [
        _tex_line([escape(label + FULL_SIZE), *map(_tex_cell, cells)]) for label, cells in table.published.items()
    ]
    lines = [
        rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}",
        r"\toprule",
        *lines,
        r"\bottomrule",
        r"\end{tabular}",
    ]
    caption = [rf"\caption{{{escape(table.title)}}}"] if table.title else []
    below = [r"\begin{minipage}{\linewidth}\footnotesize", *map(_tex_note, table.notes), r"\end{minipage}"]
    lines = [r"\begin{table}", r"\centering", *caption, *lines, r"\par\medskip", *below, r"\end{table}"]
    return "\n".join(lines) + "\n"


def _tex_line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _tex_cell(cell: Cell) -> str:
    text = {"best": rf"\textbf{{{cell.text}}}", "tied": rf"{cell.text}$^\dagger$", "": escape(cell.text)}[cell.mark]
    interval = cell.interval_text and rf"{{\footnotesize {cell.interval_text}}}"
    return " ".join(filter(None, [text, interval, cell.source and f"({escape(cell.source)})"]))


def _tex_note(note: str) -> str:
    parts = note.split("`")
    return (
        "".join(rf"\texttt{{{escape(p)}}}" if i % 2 else _escape_with_spaces(p) for i, p in enumerate(parts)) + r"\par"
    )


def _escape_with_spaces(text: str) -> str:
    """Escapes text and keeps spaces at its ends, which separate it from code."""
    before = " " if text.startswith(" ") else ""
    after = " " if text.endswith(" ") and text.strip() else ""
    return before + escape(text) + after


def render_csv(table: TableData) -> str:
    """Renders CSV: raw numbers (shares, not percent), interval bounds, and the source of published numbers."""
    file = io.StringIO()
    writer = csv_module.writer(file, lineterminator="\n")
    writer.writerow(["row", *map(csv_escape, itertools.chain.from_iterable(map(_names, table.columns))), "source"])
    for label, cells in [*table.rows.items(), *table.published.items()]:
        sources = "; ".join(dict.fromkeys(cell.source for cell in cells if cell.source))
        values = itertools.chain.from_iterable(map(_values, table.columns, cells))
        writer.writerow([csv_escape(label), *values, f"published: {sources}" if sources else "records"])
    return file.getvalue()


def _names(column: Column) -> list[str]:
    ends = [f"{column.name} low", f"{column.name} high"] if isinstance(column, MetricColumn) else []
    return [column.name, *ends]


def _values(column: Column, cell: Cell) -> list[str]:
    ends = (cell.interval or (None, None)) if isinstance(column, MetricColumn) else ()
    return ["" if value is None else f"{value:.6g}" for value in (cell.value, *ends)]


FORMATS: dict[str, Callable[[TableData], str]] = {"md": render_markdown, "tex": render_latex, "csv": render_csv}
