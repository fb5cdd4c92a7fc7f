"""How many of the padded symbols are real ones, for how many compiled shapes?"""

from collections.abc import Mapping
from typing import Any

from benchmarks.lengths import COUNTS
from benchmarks.question import OURS, Question, SideSpec
from benchmarks.tables import page, provenance

NAMES = {"Multi30k, German to English": "multi30k_deen", "CMUdict": "g2p_cmudict"}


def rows(full: bool) -> dict[str, dict[str, SideSpec]]:
    """A row a data set; nothing is timed."""
    return {row: {OURS: SideSpec("benchmarks.lengths:padding", {"name": name})} for row, name in NAMES.items()}


def table(record: Mapping[str, Any]) -> str:
    """A line for each number of shapes."""
    facts = {row: sides[OURS]["facts"] for row, sides in record["rows"].items()}
    header = ["shapes at most", *(f"{row}: {what}" for row in facts for what in ("real symbols, %", "compiled"))]
    lines = [[str(count), *_cells([f["shares"][i] for f in facts.values()])] for i, count in enumerate(COUNTS)]
    lines.append(["random batches, each padded to its longest", *_cells([f["random"] for f in facts.values()])])
    notes = [f"{row}: batches of {f['batch']}, {_origin(f)}." for row, f in facts.items()]
    return page("Real symbols among the padded ones of an epoch", header, lines, [*notes, provenance(record)])


def _cells(shares: list[Mapping[str, Any]]) -> list[str]:
    return [text for share in shares for text in (f"{100 * share['real']:.0f}", str(share["compiled"]))]


def _origin(facts: Mapping[str, Any]) -> str:
    return "generated lengths, since the files are not there" if facts["generated"] else "the training split"


question = Question(rows, table)
