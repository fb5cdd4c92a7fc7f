"""How long does a training step take with each score?"""

from collections.abc import Mapping
from typing import Any

from benchmarks.questions import Question, SideSpec, step
from benchmarks.tables import timing


def rows(full: bool) -> dict[str, dict[str, SideSpec]]:
    """One row per workload, with the scores in turn, `dot` first."""
    workloads = ("W1", "W2-64", "W2-128") if full else ("W1",)
    return {workload: {score: step.ours(workload, score) for score in step.SCORES} for workload in workloads}


def table(record: Mapping[str, Any]) -> str:
    """Returns a table of times and first steps."""
    return timing(record, "Training step with input feeding, by score", {"first step, s": step.first_step})


question = Question(rows, table)
