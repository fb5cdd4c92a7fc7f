"""What do long sources cost under the additive score, where all queries are known and its array is [b t s a]?"""

from collections.abc import Mapping
from typing import Any

from attn_research.runs.environment import FAST_ENV
from benchmarks.question import OURS, Question, SideSpec
from benchmarks.tables import number, timing

HIDDEN = 512
SIZES = {16: 64, 50: 32, 100: 16, 200: 8, 500: 2, 1000: 1}  # length -> batch


def rows(full: bool) -> dict[str, dict[str, SideSpec]]:
    """A row a length."""
    return {f"T = S = {length}, B = {SIZES[length]}": _sides(length) for length in (SIZES if full else (16, 200))}


def _sides(length: int) -> dict[str, SideSpec]:
    arguments = {"batch": SIZES[length], "length": length, "hidden": HIDDEN}
    return {
        OURS: SideSpec("benchmarks.long_sources:ours", arguments, environment=FAST_ENV),
        "one broadcast": SideSpec("benchmarks.long_sources:broadcast", arguments),
    }


def table(record: Mapping[str, Any]) -> str:
    """Times and memory."""
    title = f"Additive attention, all queries at once, forward and backward, {HIDDEN} units"
    return timing(record, title, {"temporary memory, MiB": lambda entry, _: number(entry.facts["bytes"] / 2**20)})


question = Question(rows, table)
