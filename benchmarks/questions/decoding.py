"""How long does it take to decode a batch, beside a loop in PyTorch?"""

from collections.abc import Mapping
from typing import Any

from attn_research.runs.environment import FAST_ENV
from benchmarks.question import OURS, Question, SideSpec
from benchmarks.tables import NONE, Entry, timing

WORKLOAD, SCORE = "W2-64", "dot"


def rows(full: bool) -> dict[str, dict[str, SideSpec]]:
    """Greedy search and a beam of 5, on the first parameters."""
    return {"greedy": _sides(1), "beam 5": _sides(5)}


def _sides(beam: int) -> dict[str, SideSpec]:
    model = {"workload": WORKLOAD, "score": SCORE}
    return {
        OURS: SideSpec("benchmarks.search:search", model | {"beam": beam}, environment=FAST_ENV),
        "PyTorch loop": SideSpec("benchmarks.pytorch_search:search", model | {"beam_size": beam}, needs="torch"),
    }


def equal_outputs(entry: Entry, record: Mapping[str, Any]) -> str:
    """Percent of the outputs that are ours."""
    return f"{100 * entry.facts['equal']:.0f}" if "equal" in entry.facts else NONE


def table(record: Mapping[str, Any]) -> str:
    """Times of a batch."""
    return timing(record, f"Decoding a batch of {WORKLOAD}, {SCORE} score", {"outputs equal to ours, %": equal_outputs})


question = Question(rows, table)
