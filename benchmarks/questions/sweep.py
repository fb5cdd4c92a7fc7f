"""How much time does a sweep save, compared with one process per run?"""

from collections.abc import Mapping
from typing import Any

from attn_research.config import load
from benchmarks.questions import Question, SideSpec
from benchmarks.server import ROOT
from benchmarks.tables import timing


def rows(full: bool) -> dict[str, dict[str, SideSpec]]:
    """The runs of the demo, with 50 steps each, or with all their steps."""
    steps = load(ROOT / "configs" / "dates.py").train.steps if full else 50
    return {
        f"the runs of experiments/score_functions.py, {steps} steps each": {
            "attn-research sweep": SideSpec("benchmarks.commands:sweep", {"steps": steps}),
            "one process after another, nothing kept": SideSpec("benchmarks.commands:one_by_one", {"steps": steps}),
        }
    }


def table(record: Mapping[str, Any]) -> str:
    """Returns a table in seconds."""
    columns = {"runs": lambda entry, _: str(entry.facts["runs"])}
    return timing(record, "Sweep of the demo", columns, scale=1, unit="s")


question = Question(rows, table, blocks=1)
