"""Records as training writes them, with numbers that tests can work out."""

import numpy as np

from attn_research.config import Config, digest, flatten, override
from attn_research.metrics import METRICS
from attn_research.runs import records


def split(right, lengths=10, ceiling=None, wrong_by=1):
    """A split in which item i was right where `right[i]`, else wrong by some edits."""
    right = np.asarray(right, int)
    one = np.ones_like(right)
    edits, total = (1 - right) * wrong_by, one * lengths
    items = {"exact": (right, one), "wer": (1 - right, one), "per": (edits, total)}
    metrics = {name: METRICS[name].value(*counts) for name, counts in items.items()}
    packed = {name: {"n": records.pack(n), "d": records.pack(d)} for name, (n, d) in items.items()}
    loss = 0.5 - metrics["exact"] / 4
    metrics |= {"loss": loss, "perplexity": float(np.exp(loss))}
    return {"metrics": metrics, "items": packed, "ceiling": ceiling}


def record(score="dot", seed=0, *, test, **more):
    """The record of a run of `score`; `test` is its test split."""
    config = override(Config(), {"model.attention.score": score, "seed": seed})
    result = {
        "id": digest(config), "config": flatten(config), "status": "finished", "failure": None, "best_step": 1500,
        "steps": 1500, "splits": {"test": test}, "parameters": 38_200, "parameters_hash": "0" * 64,
        "flops_per_step": 1.3e9, "seconds": {"total": 20.0, "compile": 8.0, "step": 0.0075}, "idle": True, "threads": 1,
        "commit": "1234567890abcdef", "dirty": False, "versions": {"jax": "0.10.2", "flax": "0.12.8"}, "device": "cpu",
        "machine": "AMD EPYC", "user_code": {}, "date": "2026-01-01T00:00:00",
    }  # fmt: skip
    return result | more


def first(n, of=100):
    """Right on the first n of so many items."""
    return np.arange(of) < n
