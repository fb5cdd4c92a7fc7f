"""How long does it take to decode a batch, compared with a loop in PyTorch?"""

from collections.abc import Mapping
from typing import Any

from attn_research.runs.environment import FAST_ENV
from benchmarks.questions import OURS, Question, SideSpec
from benchmarks.tables import NONE, Entry, timing

WORKLOAD, SCORE = "W2-64", "dot"


def rows(full: bool) -> dict[str, dict[str, SideSpec]]:
    """Greedy search and a beam of 5, both on untrained parameters."""
    return {"greedy": _sides(1), "beam 5": _sides(5)}


def _sides(beam: int) -> dict[str, SideSpec]:
    model = {"workload": WORKLOAD, "score": SCORE}
    return {
        OURS: SideSpec("benchmarks.jax_search:search", model | {"beam": beam}, environment=FAST_ENV),
        "PyTorch loop": SideSpec("benchmarks.pytorch_search:search", model | {"beam_size": beam}, needs="torch"),
    }


def equal_outputs(entry: Entry, record: Mapping[str, Any]) -> str:
    """Returns the percentage of outputs that are identical to ours."""
    return f"{100 * entry.facts['equal']:.0f}" if "equal" in entry.facts else NONE


def table(record: Mapping[str, Any]) -> str:
    """Returns a table of times per batch."""
    columns = {"outputs identical to ours, %": equal_outputs}
    return timing(record, f"Decoding a batch of {WORKLOAD}, {SCORE} score", columns)


question = Question(rows, table)
