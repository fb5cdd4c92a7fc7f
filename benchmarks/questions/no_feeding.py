"""How long does a training step take without input feeding, where PyTorch has one fused call for the decoder?"""

from collections.abc import Mapping
from typing import Any

from benchmarks.question import OURS, Question, SideSpec
from benchmarks.questions import step

SIDE = "PyTorch, fused nn.LSTM"


def rows(full: bool) -> dict[str, dict[str, SideSpec]]:
    """Dot, and the additive score, which is the dearest with all queries at once."""
    names = [(workload, score) for workload in ("W1", "W2-64") for score in ("dot", "concat")]
    return {
        f"{workload} {score}": {
            OURS: step.ours(workload, score, feeding="none"),
            SIDE: step.pytorch(workload, score, "no feeding"),
        }
        for workload, score in (names if full else names[:1])
    }


def table(record: Mapping[str, Any]) -> str:
    """As that of the step with input feeding."""
    return step.table(record, "A training step without input feeding")


question = Question(rows, table)
