"""How much time does the project's own loop over steps save, compared with `jax.lax.scan`?"""

from collections.abc import Mapping
from typing import Any

from attn_research.models.scan import VARIABLE
from benchmarks.questions import OURS, Question, SideSpec, step
from benchmarks.tables import timing


def rows(full: bool) -> dict[str, dict[str, SideSpec]]:
    """One row per workload and score, with the two loops in turn."""
    workloads = ("W1", "W2-64", "W2-128", "g2p") if full else ("W1",)
    return {f"{workload} {score}": _row(workload, score) for workload in workloads for score in ("dot", "concat")}


def _row(workload: str, score: str) -> dict[str, SideSpec]:
    ours = step.ours(workload, score, "none" if workload == "g2p" else "attentional")
    return {OURS: ours, "jax.lax.scan": ours._replace(environment={**ours.environment, VARIABLE: "lax"})}


def table(record: Mapping[str, Any]) -> str:
    """Returns a table of times and first steps."""
    title = "Training step with the project's own loop and with jax.lax.scan"
    return timing(record, title, {"first step, s": step.first_step})


question = Question(rows, table)
