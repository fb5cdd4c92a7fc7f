"""What a run writes beside its checkpoints: lines of metrics, outputs on the test splits, attention weights."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from attn_research.metrics import METRICS
from attn_research.runs.records import pack
from attn_research.training.evaluate import Evaluation
from attn_research.training.prepare import Split

KEPT = 32  # items of the split `test` whose attention weights are written
# Metrics whose counts are whole numbers, kept item by item.
COUNTED = ("exact", "token", "wer", "per", "aer", "aer_free", "bleu", "bleu_lc", "chrf")


class Lines:
    """A file with a JSON object a line; what an earlier process wrote after `step` is dropped."""

    def __init__(self, path: Path, step: int):
        kept = [line for line in _whole_lines(path) if json.loads(line)["step"] <= step]
        draft = path.with_suffix(".draft")
        draft.write_text("".join(kept))
        draft.replace(path)
        self._path = path

    def write(self, line: dict[str, Any]) -> None:
        """Appends one object."""
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")


def _whole_lines(path: Path) -> list[str]:
    """The lines that a killed process did not leave half-written."""
    text = path.read_text() if path.exists() else ""
    return text[: text.rfind("\n") + 1].splitlines(keepends=True)


def write(directory: Path, name: str, split: Split, evaluation: Evaluation) -> None:
    """Writes `<name>.jsonl`, a line an item, and for `test` attention.npz: the weights [t s] of the first items."""
    directory.mkdir(exist_ok=True)
    columns = {"source": split.column("source"), "references": split.references, "output": evaluation.outputs}
    columns |= {"text": evaluation.texts, "raw": split.column("raw"), "alignment": split.column("alignment")}
    columns = {name: values for name, values in columns.items() if values is not None}
    with (directory / f"{name}.jsonl").open("w", encoding="utf-8") as file:
        for values in zip(*columns.values(), strict=True):
            file.write(json.dumps(dict(zip(columns, values, strict=True)), ensure_ascii=False) + "\n")
    if name == "test":
        kept = evaluation.weights[:KEPT]
        np.savez_compressed(directory / "attention.npz", **{str(item): weights for item, weights in enumerate(kept)})


def summary(split: Split, evaluation: Evaluation) -> dict[str, Any]:
    """A split's part of the record: metrics, counts item by item where they are whole numbers, and signatures."""
    ceiling = split.column("ceiling")
    return {
        "metrics": evaluation.metrics,
        "items": {
            name: dict(zip(METRICS[name].parts, map(pack, parts), strict=True))
            for name, parts in evaluation.items.items()
            if name in COUNTED
        },
        "signatures": evaluation.signatures,
        "ceiling": None if ceiling is None else float(np.mean(ceiling)),
    }
