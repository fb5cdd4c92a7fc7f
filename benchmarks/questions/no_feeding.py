"""How long does a training step take without input feeding, where PyTorch runs the decoder as one fused call?"""

from collections.abc import Mapping
from typing import Any

from benchmarks.questions import OURS, Question, SideSpec, step

SIDE = "PyTorch, fused nn.LSTM"


def rows(full: bool) -> dict[str, dict[str, SideSpec]]:
    """Dot, and the additive score, which costs most with all queries at once."""
    pairs = [(workload, score) for workload in ("W1", "W2-64") for score in ("dot", "concat")]
    return {
        f"{workload} {score}": {
            OURS: step.ours(workload, score, feeding="none"),
            SIDE: step.pytorch(workload, score, "no feeding"),
        }
        for workload, score in (pairs if full else pairs[:1])
    }


def table(record: Mapping[str, Any]) -> str:
    """Returns a table with the columns of `step`."""
    return step.table(record, "Training step without input feeding")


question = Question(rows, table)
