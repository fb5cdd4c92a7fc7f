"""Describes a run as a record: its config, parameters, cost, data and environment, and the metrics of its splits."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from attn_research.config import digest, flatten
from attn_research.data.attributes import read_attributes
from attn_research.data.batching import plan_batches
from attn_research.metrics import METRICS
from attn_research.runs.environment import environment
from attn_research.runs.memory import peak_memory
from attn_research.runs.records import Record, pack, pack_attributes
from attn_research.training.evaluate import Evaluation
from attn_research.training.prepare import Split

if TYPE_CHECKING:
    from attn_research.training.loop import Training

LINK_METRICS = ("word_aer", "word_aer_next", "word_precision", "word_recall", "word_f1")

# Metrics whose parts are integers. The record holds them item by item.
COUNT_METRICS = (
    "exact",
    "token",
    "impossible",
    "wer",
    "per",
    "edits",
    "aer",
    "aer_free",
    *LINK_METRICS,
    "bleu",
    "bleu_lc",
    "chrf",
    "ter",
)


def describe(training: "Training") -> Record:
    """Returns the record of a run without its outcome: `status`, `failure` and `splits`."""
    params = training.state.params if training.best is None else training.best
    leaves = jax.tree.leaves_with_path(jax.device_get(params))
    steps, seconds = int(training.state.step), training.clock.seconds
    return {
        "id": digest(training.config),
        "config": flatten(training.config),
        "steps": steps,
        "best_step": training.progress["best_step"],
        "dev": dev_curve(training.progress["dev"]),
        "parameters": sum(leaf.size for _, leaf in leaves),
        "parameters_hash": hash_arrays(leaves),
        "flops_per_step": mean_flops(training),
        "seconds": {
            "total": training.clock.total,
            "compile": seconds["compile"],
            "step": seconds["train"] / max(1, steps - training.steps_before),
        },
        "idle": training.clock.idle,
        "peak_memory": peak_memory(),
        "data": training.data.fingerprint(),
        "user_code": training.user_code,
        "identity": None if training.identity is None else training.identity._asdict(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        **environment(),
    }


def dev_curve(evaluations: Sequence[Mapping[str, float]] | None) -> dict[str, list[float]] | None:
    """Returns the evaluations on dev by name: `{"step": [500, 1000], "loss": [0.9, 0.7], ...}`; None if unknown."""
    if evaluations is None:
        return None
    return {name: [row[name] for row in evaluations] for name in (evaluations[0] if evaluations else ())}


def hash_arrays(leaves: list[tuple[Any, np.ndarray]]) -> str:
    """Returns the sha256 of the names, shapes and bytes of arrays."""
    sha = hashlib.sha256()
    for path, leaf in leaves:
        sha.update(f"{jax.tree_util.keystr(path)} {leaf.shape} {leaf.dtype}".encode() + leaf.tobytes())
    return sha.hexdigest()


def mean_flops(training: "Training") -> float:
    """Returns the floating-point operations of the matrix products of a training step, averaged over an epoch."""
    batches = plan_batches(training.split.encoded, training.split.shapes, training.config.data.batch_size)
    flops_by_shape = {
        shape: training.program.step.flops(training.clock, training.state, training.make_batch(shape, rows))
        for shape, rows in dict(batches).items()
    }
    return float(np.mean([flops_by_shape[shape] for shape, _ in batches]))


def describe_split(split: Split, evaluation: Evaluation, targets: Mapping[bytes, int] | None) -> dict[str, Any]:
    """Returns the record of a split: metrics, item counts, attributes of the items, and signatures of the metrics.

    Args:
      targets: how often each target occurs in training, as `count_targets` returns it; None: unknown.
    """
    ceiling = split.column("ceiling")
    return {
        "metrics": evaluation.metrics,
        "items": {
            name: dict(zip(METRICS[name].parts, map(pack, parts), strict=True))
            for name, parts in evaluation.items.items()
            if name in COUNT_METRICS
        },
        "attributes": pack_attributes(read_attributes(split.data, split.encoded, targets)),
        "signatures": evaluation.signatures,
        "ceiling": None if ceiling is None else float(np.mean(ceiling)),
    }
