"""Re-run tables of papers as Markdown: claim, table, verdicts, differences and command of each."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from attn_research.reports.claims import Claim
from attn_research.reports.papers import Paper
from attn_research.reports.render import TableData, markdown_code, markdown_escape

INTRODUCTION = """# Papers

`attn-research papers --save` writes this page from the experiments that have a `PAPER` and from their committed
records. `make papers` trains what is missing. No number of ours is typed, and no verdict.

Our settings are smaller than those of the papers, and some data is a stand-in: the title of a table says so. A
verdict says whether the order of the rows is the paper's, not whether its numbers are. [claims.md](claims.md) explains
verdicts and evidence. After each number of a paper stands how it was read:

- SEEN: in the full text, or in a reprint of the table. SEEN-2: in a quotation of the table by others.
- CODE: in code or configuration that the authors released, which may be newer than the paper.
- recalled: from memory, not seen.
"""
NOT_RUN = "Not run yet."


class PaperSection(NamedTuple):
    """What the page says of one experiment."""

    title: str
    paper: Paper
    links: str  # Markdown
    data: TableData  # without rows before the first run
    claims: Sequence[Claim]
    verdicts: str  # Markdown; "" before the first run
    differences: Mapping[str, tuple[Any, Any]]  # by field: the value here and in the paper
    command: str

    def render(self) -> str:
        """Returns the section as Markdown."""
        untitled = TableData("", self.data.columns, self.data.rows, self.data.published, self.data.notes)
        parts = [
            f"## {markdown_escape(self.title)}",
            f"{markdown_escape(self.paper.source)}. {self.links}",
            f"Claim of the paper: {markdown_escape(self.paper.claim)}",
            "" if self.verdicts else NOT_RUN,
            untitled.render("md").rstrip() if self.data.rows or self.data.published else "",
            self.verdicts.rstrip() or _unjudged(self.claims),
            "Differences from the paper:",
            "\n".join([*(f"- {markdown_escape(one)}" for one in self.paper.differs), *_fields(self.differences)]),
            f"Command: {markdown_code(self.command)}",
        ]
        return "\n\n".join(filter(None, parts)) + "\n"


def _unjudged(claims: Sequence[Claim]) -> str:
    """Returns the claims without verdicts."""
    lines = [f"| {markdown_escape(claim.text)} | not run yet | {markdown_escape(claim.source)} |" for claim in claims]
    return "\n".join(["| claim | verdict | source |", "| --- | --- | --- |", *lines]) if claims else ""


def _fields(differences: Mapping[str, tuple[Any, Any]]) -> list[str]:
    """Returns a line for each field that differs."""
    return [
        f"- {markdown_code(name)}: here {_value(here)}, in the paper {_value(there)}"
        for name, (here, there) in differences.items()
    ]


def _value(value: Any) -> str:
    return markdown_code(str(value))
