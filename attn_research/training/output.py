"""Output files of a run: lines of metrics, outputs of each split, attention weights."""

import contextlib
import io
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from attn_research import storage
from attn_research.config import Config, flatten
from attn_research.training.evaluate import Evaluation
from attn_research.training.prepare import PreparedData, Split, saved_files

ATTENTION_ITEMS = 32  # first items of the split `test`, whose attention weights are written

logger = logging.getLogger(__name__)


def write_inputs(directory: Path, config: Config, data: PreparedData) -> None:
    """Writes config.json, the vocabularies and the segmentations, which a translator needs, with checksums."""
    directory.mkdir(parents=True, exist_ok=True)
    storage.write(directory / "config.json", json.dumps(flatten(config), indent=1) + "\n")
    data.save(directory)
    storage.seal(directory, ["config.json", *saved_files(config.data.task)])


class MetricsFile:
    """A file with one JSON object per line. Drops damaged lines, and lines after `step` from an earlier process."""

    def __init__(self, path: Path, step: int):
        lines = _complete_lines(path)
        steps = [_step(line) for line in lines]
        if damaged := steps.count(None):
            logger.warning("%s: dropped %d damaged lines", path, damaged)
        retained = [line for line, number in zip(lines, steps, strict=True) if number is not None and number <= step]
        storage.write(path, b"".join(retained))
        self._path = path

    def write(self, line: dict[str, Any]) -> None:
        """Appends one line."""
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")


def _complete_lines(path: Path) -> list[bytes]:
    """Returns the complete lines: a killed process may leave a part of one at the end."""
    text = path.read_bytes() if path.exists() else b""
    return [line + b"\n" for line in text.split(b"\n")[:-1]]


def _step(line: bytes) -> int | None:
    """Returns the step of a line; None if the line is damaged."""
    with contextlib.suppress(ValueError):
        result = json.loads(line)
        if isinstance(result, dict) and isinstance(result.get("step"), int):
            return result["step"]
    return None


def write(directory: Path, name: str, split: Split, evaluation: Evaluation) -> None:
    """Writes `<name>.jsonl`, one line per item; for `test` also attention.npz, the weights [t s] of the first items.

    With gold links between words, also `<name>_word_weights_{predicting,reading}.npz`, the weights [target words,
    source words] of all items with teacher forcing.
    """
    directory.mkdir(exist_ok=True)
    columns = {"source": split.column("source"), "references": split.references, "output": evaluation.outputs}
    columns |= {"text": evaluation.texts, "raw": split.column("raw"), "alignment": split.column("alignment")}
    columns = {name: values for name, values in columns.items() if values is not None}
    items = (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))
    lines = (json.dumps(item, ensure_ascii=False) + "\n" for item in items)
    storage.write(directory / f"{name}.jsonl", "".join(lines))
    if name == "test":
        _write_arrays(directory / "attention.npz", evaluation.weights[:ATTENTION_ITEMS])
    for convention, weights in (evaluation.word_weights._asdict() if evaluation.word_weights else {}).items():
        _write_arrays(directory / f"{name}_word_weights_{convention}.npz", weights)
    storage.seal(directory)


def _write_arrays(path: Path, items: Sequence[np.ndarray]) -> None:
    """Writes the array of each item under its index."""
    arrays: dict[str, Any] = {str(item): array for item, array in enumerate(items)}
    archive = io.BytesIO()
    np.savez_compressed(archive, **arrays)
    storage.write(path, archive.getvalue())
