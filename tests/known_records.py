"""Records as training writes them, with numbers that tests can compute by hand."""

import numpy as np
from fake_runs import finished_record

from attn_research.config import Config, override
from attn_research.metrics import METRICS
from attn_research.runs import records


def split(right, lengths=10, ceiling=None, wrong_by=1):
    """Returns the part of a record for one split. Item i is correct if `right[i]`, else wrong by `wrong_by` edits."""
    right = np.asarray(right, int)
    one = np.ones_like(right)
    edits, total = (1 - right) * wrong_by, one * lengths
    items = {"exact": (right, one), "wer": (1 - right, one), "per": (edits, total)}
    metrics = {name: METRICS[name].value(*counts) for name, counts in items.items()}
    packed = {name: {"n": records.pack(n), "d": records.pack(d)} for name, (n, d) in items.items()}
    loss = 0.5 - metrics["exact"] / 4
    metrics |= {"loss": loss, "perplexity": float(np.exp(loss))}
    return {"metrics": metrics, "items": packed, "ceiling": ceiling}


def record(score="dot", seed=0, *, test, **changes):
    """Returns the record of a run of `score` with the test split `test`."""
    return finished_record(
        override(Config(), {"model.attention.score": score, "seed": seed}), {"test": test}, **changes
    )


def first(n, of=100):
    """Returns `right` for a split whose first n items are correct."""
    return np.arange(of) < n
