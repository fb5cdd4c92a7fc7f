"""How long does a training step take, compared with PyTorch?"""

from collections.abc import Mapping
from typing import Any

from attn_research.runs.environment import FAST_ENV
from benchmarks.questions import OURS, Question, SideSpec
from benchmarks.tables import NONE, Entry, number, timing

TITLE = "Training step with input feeding"
SCORES = ("dot", "scaled_dot", "general", "concat", "location")
WELL_WRITTEN = {"PyTorch, well written": "well written"}
OTHER_WAYS = {
    "the same with huge pages": "well written, huge pages",
    "PyTorch, torch.compile of it": "compiled",
    "PyTorch, as tutorials have it": "tutorial",
}


def ours(workload: str, score: str, feeding: str = "attentional") -> SideSpec:
    """Returns the side of the project's own step, as `attn-research train` runs it."""
    arguments = {"workload": workload, "score": score, "feeding": feeding}
    return SideSpec("benchmarks.jax_training:step", arguments, environment=FAST_ENV)


def pytorch(workload: str, score: str, style: str) -> SideSpec:
    """Returns the side of a PyTorch step.

    Args:
      style: a key of `pytorch_training.STYLES`. With `, huge pages` appended, memory is in huge pages, as for ours.
    """
    style, _, pages = style.partition(", ")
    arguments = {"workload": workload, "score": score, "style": style}
    environment = {"GLIBC_TUNABLES": FAST_ENV["GLIBC_TUNABLES"]} if pages else {}
    return SideSpec("benchmarks.pytorch_training:step", arguments, needs="torch", environment=environment)


def rows(full: bool) -> dict[str, dict[str, SideSpec]]:
    """One row per workload and score, against the best eager PyTorch; with `full`, also other ways to write dot."""
    workloads = ("W1", "W2-64", "W2-128") if full else ("W1", "W2-64")
    scores = SCORES if full else ("dot", "concat")
    pairs = {f"{workload} {score}": _row(workload, score, WELL_WRITTEN) for workload in workloads for score in scores}
    ways = {f"{workload} dot, other ways": _row(workload, "dot", OTHER_WAYS) for workload in workloads if full}
    return pairs | ways


def _row(workload: str, score: str, styles: Mapping[str, str]) -> dict[str, SideSpec]:
    return {OURS: ours(workload, score)} | {side: pytorch(workload, score, style) for side, style in styles.items()}


def first_step(entry: Entry, record: Mapping[str, Any]) -> str:
    """Returns the seconds of the first step, which compiles."""
    return number(entry.facts["first"])


def largest_difference(entry: Entry, record: Mapping[str, Any]) -> str:
    """Returns the largest relative difference from our gradients and losses."""
    return f"{entry.facts['difference']:.0e}" if "difference" in entry.facts else NONE


def table(record: Mapping[str, Any], title: str = TITLE) -> str:
    """Returns a table of times, first steps and differences between the sides."""
    return timing(record, title, {"first step, s": first_step, "largest difference": largest_difference})


question = Question(rows, table)
