"""How long does a training step take under each score?"""

from collections.abc import Mapping
from typing import Any

from benchmarks.question import Question, SideSpec
from benchmarks.questions import step
from benchmarks.tables import timing


def rows(full: bool) -> dict[str, dict[str, SideSpec]]:
    """A row for each workload, in which the scores work in turn, `dot` first."""
    workloads = ("W1", "W2-64", "W2-128") if full else ("W1",)
    return {workload: {score: step.ours(workload, score) for score in step.SCORES} for workload in workloads}


def table(record: Mapping[str, Any]) -> str:
    """Times, and the first step."""
    return timing(record, "A training step with input feeding, by its score", {"first step, s": step.first_step})


question = Question(rows, table)
