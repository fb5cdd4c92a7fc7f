"""How many sentences a second does a run translate, in Python and with the command?"""

from collections.abc import Mapping
from typing import Any

from benchmarks.questions import Question, SideSpec
from benchmarks.tables import Entry, number, timing

WORKLOAD, SCORE = "W2-64", "dot"
LINES = 1024
PYTHON, COMMAND = "Translator.translate", "attn-research translate, from process start"


def rows(full: bool) -> dict[str, dict[str, SideSpec]]:
    """Greedy search and a beam of 5, both on untrained parameters."""
    return {"greedy": _sides(1), "beam 5": _sides(5)}


def _sides(beam: int) -> dict[str, SideSpec]:
    work = {"beam": beam, "lines": LINES}
    model = {"workload": WORKLOAD, "score": SCORE}
    return {
        PYTHON: SideSpec("benchmarks.translation:in_python", model | work),
        COMMAND: SideSpec("benchmarks.translation:with_command", work),
    }


def sentences(entry: Entry, record: Mapping[str, Any]) -> str:
    """Returns the sentences a second."""
    return number(entry.facts["lines"] / entry.median if entry.median else None)


def table(record: Mapping[str, Any]) -> str:
    """Returns a table of times and sentences a second."""
    title = f"Translating {LINES:,} lines of up to 16 symbols, {WORKLOAD}, {SCORE} score"
    return timing(record, title, {"sentences a second": sentences}, scale=1, unit="s")


question = Question(rows, table, blocks=3)
