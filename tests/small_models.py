"""Sizes of models that compile quickly, parameters for them and four sources, the last of which is empty."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from attn_research.data.batching import Batch
from attn_research.data.vocab import EOS, PAD
from attn_research.models.seq2seq import Seq2Seq, init_parameters

SIZES = {"model.embedding": 5, "model.encoder.hidden": 6, "model.decoder.hidden": 6}
LENGTHS = np.array([4, 1, 6, 0], np.int32)


@functools.cache
def shapes(one: Seq2Seq):
    return jax.eval_shape(lambda: init_parameters(one, 0))


def parameters(one: Seq2Seq, seed: int):
    """Not trained, and nothing to compile, but with opinions."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), leaf.dtype), shapes(one))


def sources(padded: int = 6, padding: int = PAD) -> np.ndarray:
    """Four rows; `padding` is the symbol behind the end of each."""
    symbols = np.random.default_rng(0).integers(4, 11, (4, 12))[:, :padded]
    return np.where(np.arange(padded)[None] < LENGTHS[:, None], symbols, padding).astype(np.int32)


def batch(padded: int = 6, padding: int = PAD) -> Batch:
    """The sources, and a target for each, the last one without a real symbol."""
    target = np.random.default_rng(1).integers(4, 9, (4, 5)).astype(np.int32)
    target[:, -1] = EOS
    lengths = np.array([5, 5, 5, 0], np.int32)
    return Batch(*map(jnp.asarray, (sources(padded, padding), LENGTHS, target, lengths, np.arange(4))))
