"""How long does it take from process start to the help text, and to the first training step?"""

from collections.abc import Mapping
from typing import Any

from benchmarks.questions import Question, SideSpec
from benchmarks.tables import timing

TRAIN = "attn-research train configs/dates.py, to its first step"
WARM = "warm cache"


def rows(full: bool) -> dict[str, dict[str, SideSpec]]:
    """`--help`, and training with a warm and with a cold compilation cache."""
    first = {WARM: _first_step(True)} | ({"cold cache": _first_step(False)} if full else {})
    return {"attn-research": {"--help": SideSpec("benchmarks.commands:help_text", {})}, TRAIN: first}


def _first_step(warm: bool) -> SideSpec:
    return SideSpec("benchmarks.commands:first_step", {"warm": warm})


def table(record: Mapping[str, Any]) -> str:
    """Returns a table in seconds."""
    return timing(record, "Time from process start", {}, scale=1, unit="s")


question = Question(rows, table)
