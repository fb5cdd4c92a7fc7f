"""A built table as Markdown, LaTeX and comma-separated values."""

import csv as csv_module
import io
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from attn_research.reports.columns import MISSING, Cell, Measured

if TYPE_CHECKING:
    from attn_research.reports.tables import Built

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
}


def escape(text: str) -> str:
    """Any text as LaTeX that prints it."""
    return "".join(SPECIAL.get(character, character) for character in " ".join(text.split()))


def markdown_escape(text: str) -> str:
    """Any text as Markdown that prints it, also in a table's cell."""
    return re.sub(r"([\\`*_{}\[\]<>|~])", r"\\\1", " ".join(text.split()))


def markdown_code(text: str) -> str:
    """Any text between backticks, also in a table's cell."""
    text = " ".join(text.split()).replace("|", r"\|")
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return fence + pad + text + pad + fence


def md(table: "Built") -> str:
    """GitHub's Markdown: a table, then the notes as a list."""
    header = ["", *(markdown_escape(column.header) for column in table.columns)]
    lines = [header, ["---", *["---:"] * len(table.columns)]]
    lines += [[markdown_code(label), *map(_md_cell, cells)] for label, cells in table.rows.items()]
    lines += [
        [f"*{markdown_escape(label)}*{FULL_SIZE}", *(_sourced(*cell, markdown_escape) for cell in cells)]
        for label, cells in table.published.items()
    ]
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    title = [f"**{markdown_escape(table.title)}**"] if table.title else []
    return "\n\n".join([*title, body, "\n".join(f"- {note}" for note in table.notes)]).rstrip() + "\n"


def _md_cell(cell: Cell) -> str:
    text = {"best": f"**{cell.text}**", "tied": f"{cell.text}†", "": cell.text}[cell.mark]
    return " ".join(filter(None, [text, cell.interval_text]))


def tex(table: "Built") -> str:
    """A LaTeX table; needs the package booktabs and a UTF-8 engine."""
    lines = [_tex_line(["", *(escape(column.header) for column in table.columns)]), r"\midrule"]
    lines += [
        _tex_line([rf"\texttt{{{escape(label)}}}", *map(_tex_cell, cells)]) for label, cells in table.rows.items()
    ]
    lines += [r"\midrule"] if table.published else []
    lines += [
        _tex_line([escape(label + FULL_SIZE), *(_sourced(*cell, escape) for cell in cells)])
        for label, cells in table.published.items()
    ]
    caption = [rf"\caption{{{escape(table.title)}}}"] if table.title else []
    return "\n".join([
        r"\begin{table}", r"\centering", *caption,
        rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}", r"\toprule", *lines, r"\bottomrule", r"\end{tabular}",
        r"\par\medskip", r"\begin{minipage}{\linewidth}\footnotesize", *map(_tex_note, table.notes), r"\end{minipage}",
        r"\end{table}", "",
    ])  # fmt: skip


def _tex_line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _tex_cell(cell: Cell) -> str:
    text = {"best": rf"\textbf{{{cell.text}}}", "tied": rf"{cell.text}$^\dagger$", "": cell.text}[cell.mark]
    return f"{text} {{\\footnotesize {cell.interval_text}}}" if cell.interval_text else text


def _tex_note(note: str) -> str:
    parts = note.split("`")
    return "".join(rf"\texttt{{{escape(p)}}}" if i % 2 else _spaced(p) for i, p in enumerate(parts)) + r"\par"


def _spaced(text: str) -> str:
    """Escaped, with the blanks at its ends, which stand beside code."""
    blank = " " if text else ""
    return blank * text.startswith(" ") + escape(text) + blank * (text.endswith(" ") and bool(text.strip()))


def _sourced(number: str, source: str, quoted: Callable[[str], str]) -> str:
    return number if number == MISSING else f"{quoted(number)} ({quoted(source)})"


def csv(table: "Built") -> str:
    """Raw numbers (shares, not percent), the interval's ends beside them, and where published numbers were seen."""
    names = [
        [c.name, f"{c.name} low", f"{c.name} high"] if isinstance(c, Measured) else [c.name] for c in table.columns
    ]
    file = io.StringIO()
    writer = csv_module.writer(file, lineterminator="\n")
    writer.writerow(["row", *(name for group in names for name in group), "source"])
    for label, cells in table.rows.items():
        values = [[c.value, *(c.interval or ("", ""))][: len(group)] for c, group in zip(cells, names, strict=True)]
        writer.writerow([label, *(value for group in values for value in group), "records"])
    for label, cells in table.published.items():
        values = [
            [_raw(c[0], column), "", ""][: len(group)]
            for c, column, group in zip(cells, table.columns, names, strict=True)
        ]
        sources = "; ".join(dict.fromkeys(source for _, source in cells if source))
        writer.writerow([label, *(value for group in values for value in group), f"published: {sources}"])
    return file.getvalue()


def _raw(number: str, column) -> str | float:
    if number == MISSING:
        return ""
    return round(float(number) / 100, 8) if column.metric.percent else float(number)


FORMS: dict[str, Callable[["Built"], str]] = {"md": md, "tex": tex, "csv": csv}
