"""The workloads: sizes of models and batches, small (W1) and as in translation (W2)."""

from typing import NamedTuple

import numpy as np

from attn_research.config import Config, override
from attn_research.data.batching import Batch, EncodedSplit, Sentences, collate
from attn_research.data.vocab import EOS, UNK


class Workload(NamedTuple):
    """Sizes of a model and its batch. Lengths are in symbols; a target includes EOS."""

    source_symbols: int
    target_symbols: int
    source_length: int
    target_length: int
    batch: int
    embedding: int
    hidden: int  # of the decoder, and of both directions of the encoder together


W2 = Workload(8000, 8000, 16, 16, batch=64, embedding=256, hidden=512)
GROWTH_SIZES = {"length": (8, 16, 32, 64), "batch": (16, 32, 64, 128), "hidden": (128, 256, 512, 1024)}


def resized(axis: str, size: int) -> Workload:
    """Returns W2-64 with one size changed: "length" (of source and target), "batch" or "hidden"."""
    return W2._replace(source_length=size, target_length=size) if axis == "length" else W2._replace(**{axis: size})


WORKLOADS = {
    "W1": Workload(32, 45, 12, 11, batch=256, embedding=128, hidden=256),
    "W2-64": W2,
    "W2-128": resized("batch", 128),
    "g2p": Workload(32, 45, 12, 11, batch=64, embedding=64, hidden=256),  # as configs/g2p_cmudict.py
    **{f"{axis} {size}": resized(axis, size) for axis, sizes in GROWTH_SIZES.items() for size in sizes},
}


def make_config(workload: Workload, score: str, feeding: str) -> Config:
    """Returns a config: one layer per side, no dropout, Adam at a constant rate, gradients clipped to norm 1."""
    return override(
        Config(),
        {
            "data.batch_size": workload.batch,
            "model.embedding": workload.embedding,
            "model.encoder.hidden": workload.hidden,
            "model.decoder.hidden": workload.hidden,
            "model.decoder.input_feeding": feeding,
            "model.attention.score": score,
            "train.learning_rate": 1e-3,
            "train.schedule": "constant",
            "train.clip": 1.0,
        },
    )


def make_batch(workload: Workload, ragged: bool) -> Batch:
    """Returns a batch of random symbols: with random lengths if `ragged`, else with full lengths and no padding."""
    rng = np.random.default_rng(int(ragged))
    sides = []
    for symbols, length in (workload[0], workload[2]), (workload[1], workload[3]):
        lengths = rng.integers(1, length + 1, workload.batch) if ragged else np.full(workload.batch, length)
        lengths[0] = length
        sides.append([rng.integers(UNK + 1, symbols, n).astype(np.int32) for n in lengths])
    for sentence in sides[1]:
        sentence[-1] = EOS
    shape = (workload.source_length, workload.target_length)
    return collate(EncodedSplit(*map(Sentences.from_lists, sides)), range(workload.batch), shape, workload.batch)
