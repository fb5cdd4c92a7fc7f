"""How long does one wait for the first line of help, and for the first training step?"""

from collections.abc import Mapping
from typing import Any

from benchmarks.question import Question, SideSpec
from benchmarks.tables import timing


def rows(full: bool) -> dict[str, dict[str, SideSpec]]:
    """Help, and training with a warm and a cold compilation cache."""
    first = {"warm cache": _first_step(True)} | ({"cold cache": _first_step(False)} if full else {})
    help_sides = {"--help": SideSpec("benchmarks.commands:help_text", {})}
    return {"attn-research": help_sides, "attn-research train configs/dates.py, to its first step": first}


def _first_step(warm: bool) -> SideSpec:
    return SideSpec("benchmarks.commands:first_step", {"warm": warm})


def table(record: Mapping[str, Any]) -> str:
    """Seconds."""
    return timing(record, "From the start of a process", {}, scale=1, unit="s")


question = Question(rows, table)
