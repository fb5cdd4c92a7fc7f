"""How long does a training step take, beside PyTorch?"""

from collections.abc import Mapping
from typing import Any

from attn_research.runs.environment import FAST_ENV
from benchmarks.question import OURS, Question, SideSpec
from benchmarks.tables import Entry, number, timing

TITLE = "A training step with input feeding"
SCORES = ("dot", "scaled_dot", "general", "concat", "location")
WELL_WRITTEN = {"PyTorch, well written": "well written"}
OTHER_WAYS = {
    "the same with huge pages": "well written, huge pages",
    "PyTorch, torch.compile of it": "compiled",
    "PyTorch, as tutorials have it": "tutorial",
}


def ours(workload: str, score: str, feeding: str = "attentional") -> SideSpec:
    """The project's own step, as `attn-research train` runs it."""
    arguments = {"workload": workload, "score": score, "feeding": feeding}
    return SideSpec("benchmarks.jax_training:step", arguments, environment=FAST_ENV)


def pytorch(workload: str, score: str, style: str) -> SideSpec:
    """A PyTorch step; `style` may end in `, huge pages`, such as ours has."""
    style, _, pages = style.partition(", ")
    arguments = {"workload": workload, "score": score, "style": style}
    environment = {"GLIBC_TUNABLES": FAST_ENV["GLIBC_TUNABLES"]} if pages else {}
    return SideSpec("benchmarks.pytorch_training:step", arguments, needs="torch", environment=environment)


def rows(full: bool) -> dict[str, dict[str, SideSpec]]:
    """A row for each workload and score, beside the best eager PyTorch; in full, one of the other ways to write dot."""
    workloads = ("W1", "W2-64", "W2-128") if full else ("W1", "W2-64")
    scores = SCORES if full else ("dot", "concat")
    pairs = {f"{workload} {score}": _row(workload, score, WELL_WRITTEN) for workload in workloads for score in scores}
    ways = {f"{workload} dot, other ways": _row(workload, "dot", OTHER_WAYS) for workload in workloads if full}
    return pairs | ways


def _row(workload: str, score: str, styles: Mapping[str, str]) -> dict[str, SideSpec]:
    return {OURS: ours(workload, score)} | {side: pytorch(workload, score, style) for side, style in styles.items()}


def first_step(entry: Entry, record: Mapping[str, Any]) -> str:
    """Seconds of the first step, which compiles."""
    return number(entry.facts["first"])


def largest_difference(entry: Entry, record: Mapping[str, Any]) -> str:
    """From our gradients and losses."""
    return f"{entry.facts['difference']:.0e}" if "difference" in entry.facts else "–"


def table(record: Mapping[str, Any], title: str = TITLE) -> str:
    """Times, the first step and how far the two sides are from the same function."""
    return timing(record, title, {"first step, s": first_step, "difference": largest_difference})


question = Question(rows, table)
