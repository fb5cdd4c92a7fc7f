"""What a run writes beside its checkpoints: lines of metrics, outputs on the test splits, attention weights."""

import contextlib
import io
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np

from attn_research import storage
from attn_research.metrics import METRICS
from attn_research.runs.records import pack
from attn_research.training.evaluate import Evaluation
from attn_research.training.prepare import Split

ATTENTION_ITEMS = 32  # items of the split `test` whose attention weights are written
# Metrics whose counts are whole numbers, kept item by item.
COUNT_METRICS = ("exact", "token", "wer", "per", "aer", "aer_free", "bleu", "bleu_lc", "chrf")

logger = logging.getLogger(__name__)


class MetricsFile:
    """A file with a JSON object a line; what an earlier process wrote after `step`, and damaged lines, are dropped."""

    def __init__(self, path: Path, step: int):
        lines = _whole_lines(path)
        steps = [_step(line) for line in lines]
        if damaged := steps.count(None):
            logger.warning("%s: %d damaged lines are dropped", path, damaged)
        earlier_lines = [
            line for line, result in zip(lines, steps, strict=True) if result is not None and result <= step
        ]
        storage.write(path, b"".join(earlier_lines))
        self._path = path

    def write(self, line: dict[str, Any]) -> None:
        """Appends one object."""
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")


def _whole_lines(path: Path) -> list[bytes]:
    """The lines that a killed process did not leave half-written."""
    text = path.read_bytes() if path.exists() else b""
    return [line + b"\n" for line in text.split(b"\n")[:-1]]


def _step(line: bytes) -> int | None:
    """The step of a line; None where it is damaged."""
    with contextlib.suppress(ValueError):
        result = json.loads(line)
        if isinstance(result, dict) and isinstance(result.get("step"), int):
            return result["step"]
    return None


def write(directory: Path, name: str, split: Split, evaluation: Evaluation) -> None:
    """Writes `<name>.jsonl`, a line an item, and for `test` attention.npz: the weights [t s] of the first items."""
    directory.mkdir(exist_ok=True)
    columns = {"source": split.column("source"), "references": split.references, "output": evaluation.outputs}
    columns |= {"text": evaluation.texts, "raw": split.column("raw"), "alignment": split.column("alignment")}
    columns = {name: values for name, values in columns.items() if values is not None}
    items = (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))
    lines = (json.dumps(item, ensure_ascii=False) + "\n" for item in items)
    storage.write(directory / f"{name}.jsonl", "".join(lines))
    if name == "test":
        first_weights = evaluation.weights[:ATTENTION_ITEMS]
        archive = io.BytesIO()
        np.savez_compressed(archive, **{str(item): weights for item, weights in enumerate(first_weights)})
        storage.write(directory / "attention.npz", archive.getvalue())
    storage.seal(directory)


def summary(split: Split, evaluation: Evaluation) -> dict[str, Any]:
    """A split's part of the record: metrics, counts item by item where they are whole numbers, and signatures."""
    ceiling = split.column("ceiling")
    return {
        "metrics": evaluation.metrics,
        "items": {
            name: dict(zip(METRICS[name].parts, map(pack, parts), strict=True))
            for name, parts in evaluation.items.items()
            if name in COUNT_METRICS
        },
        "signatures": evaluation.signatures,
        "ceiling": None if ceiling is None else float(np.mean(ceiling)),
    }
