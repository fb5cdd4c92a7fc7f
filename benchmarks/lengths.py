"""How many of the padded symbols are real ones, with the project's own batches."""

from pathlib import Path
from typing import Any

import numpy as np

from attn_research.config import load
from attn_research.data.batching import EncodedSplit, Sentences, Shape, choose_shapes, plan_batches
from attn_research.data.files import find_folder
from attn_research.training.prepare import prepare
from benchmarks.question import PreparedSide
from benchmarks.server import ROOT

COUNTS = range(1, 16)
# Where the files are not there: sentence pairs, the mean length of a source, targets as long as that many sources.
STAND_IN = {"multi30k_deen": (29_000, 14.0, 1.1), "g2p_cmudict": (106_837, 7.5, 0.85)}


def padding(directory: Path, name: str) -> PreparedSide:
    """Facts alone: the share of real symbols for each number of shapes, and with random batches."""
    config = load(ROOT / "configs" / f"{name}.py")
    path, batch = config.data.task.hyper["path"], config.data.batch_size
    generated = not _is_there(path)
    encoded = _generate(*STAND_IN[name]) if generated else prepare(config.data).splits["train"].encoded
    shares = [share(encoded, choose_shapes(encoded, count), batch) for count in COUNTS]
    return PreparedSide(
        None, {"generated": generated, "batch": batch, "shares": shares, "random": random(encoded, batch)}
    )


def _is_there(path: str) -> bool:
    try:
        return find_folder(path).is_dir()
    except ValueError:
        return False


def _generate(pairs: int, mean: float, ratio: float) -> EncodedSplit:
    rng = np.random.default_rng(0)
    sources = 1 + rng.poisson(rng.gamma(12, (mean - 1) / 12, pairs))
    targets = 2 + rng.poisson(ratio * sources - ratio)
    return EncodedSplit(*(Sentences(np.zeros(lengths.sum(), np.int32), lengths) for lengths in (sources, targets)))


def _real(encoded: EncodedSplit) -> int:
    return int(encoded.source.lengths.sum() + encoded.target.lengths.sum())


def share(encoded: EncodedSplit, shapes: tuple[Shape, ...], batch: int) -> dict[str, Any]:
    """Real in padded symbols of an epoch, empty rows included, and the number of shapes that are compiled."""
    batches = plan_batches(encoded, shapes, batch)
    padded = batch * sum(sum(shapes[shape]) for shape, _ in batches)
    return {"real": _real(encoded) / padded, "compiled": len({shape for shape, _ in batches})}


def random(encoded: EncodedSplit, batch: int) -> dict[str, Any]:
    """The same where a batch is made of random pairs and padded to its own longest ones."""
    order = np.random.default_rng(0).permutation(len(encoded.source))
    batches = [order[start : start + batch] for start in range(0, len(order), batch)]
    shapes = [tuple(int(side.lengths[rows].max()) for side in encoded) for rows in batches]
    return {"real": _real(encoded) / (batch * sum(map(sum, shapes))), "compiled": len(set(shapes))}
