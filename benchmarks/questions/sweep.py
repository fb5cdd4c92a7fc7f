"""What does the sweep gain over one process a run?"""

from collections.abc import Mapping
from typing import Any

from attn_research.config import load
from benchmarks.question import Question, SideSpec
from benchmarks.server import ROOT
from benchmarks.tables import timing


def rows(full: bool) -> dict[str, dict[str, SideSpec]]:
    """The demo's runs; in full, with all their steps."""
    steps = load(ROOT / "configs" / "dates.py").train.steps if full else 50
    return {
        f"the runs of experiments/score_functions.py, {steps} steps each": {
            "attn-research sweep": SideSpec("benchmarks.commands:sweep", {"steps": steps}),
            "one process after another, nothing kept": SideSpec("benchmarks.commands:one_by_one", {"steps": steps}),
        }
    }


def table(record: Mapping[str, Any]) -> str:
    """Seconds."""
    columns = {"runs": lambda entry, _: str(entry.facts["runs"])}
    return timing(record, "The demo's sweep", columns, scale=1, unit="s")


question = Question(rows, table, blocks=1)
