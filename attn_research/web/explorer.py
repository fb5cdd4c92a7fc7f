"""The data of the explorer: test items, with the output and the attention weights of every run.

The page gets JSON, packed as base64 of zlib. In it, the weights of a run are packed in the same way: those of all its
items, one after another, as little-endian uint16 in units of 1 / SCALE. A later server can answer with the same JSON.
"""

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from attn_research.errors import UserError
from attn_research.reports.items import Item
from attn_research.web.packing import pack

SCALE = 10_000  # of the weights: 0.0001 is the smallest that is not 0
MAX_BYTES = 3_000_000  # of the packed weights and traces of a page


class ExplorerRun(NamedTuple):
    """The items of one run."""

    task: str
    label: str  # of its row
    seed: int
    items: Sequence[Item]
    directory: Path = Path()
    traces: Mapping[str, Any] | None = None  # from `compute_traces`


class ExplorerData(NamedTuple):
    """What the page gets, and sentences on what it does not show."""

    content: dict[str, Any]  # JSON values
    left_out: list[str]

    @property
    def text(self) -> str:
        """The content, packed."""
        return pack(json.dumps(self.content, ensure_ascii=False, separators=(",", ":")).encode())


def explorer_data(runs: Iterable[ExplorerRun], max_bytes: int = MAX_BYTES) -> ExplorerData:
    """Returns the data of the explorer.

    Runs are taken in the order of their seeds while their packed weights and traces have at most `max_bytes` in total.

    Raises:
      UserError: two runs of a task have different sources.
    """
    tasks: dict[str, _Task] = {}
    size, left_out = 0, 0
    for run in sorted(runs, key=lambda run: run.seed):
        weights = pack(_quantize(run.items).tobytes())
        size += len(weights) + len(json.dumps(run.traces))
        if size > max_bytes:
            left_out += 1
        else:
            tasks.setdefault(run.task, _Task(run.task)).add(run, weights)
    content = {"scale": SCALE, "tasks": [task.content() for task in tasks.values()]}
    return ExplorerData(content, [f"The explorer leaves out {left_out} runs, to keep the page small."] * bool(left_out))


def disagreement(items: Sequence[Item]) -> float | None:
    """Returns the mean over pairs of half the L1 distance of the weights, at steps that both have; None without a pair.

    0: equal maps; 1: no weight in common.

    Args:
      items: one item, as each variant translates it.
    """
    maps = [item.weights for item in items if item.attends and len(item.weights)]
    distances = []
    for a, b in itertools.combinations(maps, 2):
        steps = min(len(a), len(b))
        distances.append(float(np.abs(a[:steps] - b[:steps]).sum(1).mean()) / 2)
    return round(float(np.mean(distances)), 4) if distances else None


class _Task:
    """The items of a task, and the runs on it."""

    def __init__(self, name: str):
        self.name = name
        self.runs: list[tuple[ExplorerRun, str]] = []  # with their packed weights

    def add(self, run: ExplorerRun, weights: str) -> None:
        if self.runs and [item.source for item in run.items] != [item.source for item in self.runs[0][0].items]:
            raise UserError(f"`{run.label}` seed {run.seed} has other test items than the other runs of {self.name}")
        self.runs.append((run, weights))

    def content(self) -> dict[str, Any]:
        """Returns the JSON values of the task."""
        first = {run.label: run for run, _ in reversed(self.runs)}  # the first seed of every row
        items = self.runs[0][0].items
        return {
            "name": self.name,
            "items": [_describe(item, [run.items[i] for run in first.values()]) for i, item in enumerate(items)],
            "runs": [_describe_run(run, weights) for run, weights in self.runs],
        }


def _describe(item: Item, variants: Sequence[Item]) -> dict[str, Any]:
    """Returns an item and how its variants differ, for the list of items."""
    return {
        "source": list(item.source),
        "references": [list(reference) for reference in item.references],
        "gold": [list(pair) for pair in item.alignment],
        "errors": sum(list(one.output) not in [list(r) for r in one.references] for one in variants),
        "disagreement": disagreement(variants),
    }


def _describe_run(run: ExplorerRun, weights: str) -> dict[str, Any]:
    return {
        "label": run.label,
        "seed": run.seed,
        "attends": any(item.attends for item in run.items),
        "outputs": [list(item.output) for item in run.items],
        "steps": [len(item.weights) for item in run.items],
        "weights": weights,
        "traces": run.traces,
    }


def _quantize(items: Sequence[Item]) -> np.ndarray:
    """Returns the weights of items in units of 1 / SCALE, uint16 [n]."""
    arrays = [np.round(item.weights.ravel() * SCALE) for item in items]
    return np.clip(np.concatenate(arrays), 0, 2**16 - 1).astype("<u2") if arrays else np.zeros(0, "<u2")
