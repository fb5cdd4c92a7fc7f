"""The output of a search: its arrays, its greatest length, and the memory that it takes."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from attn_research import config
from attn_research.data.vocab import BOS, PAD

# Bytes of the attention weights of one search. The search and its outputs take a few times as much.
MEMORY = 2**28
LONGEST = 2**16  # symbols of a source at most, however short its output may be


class Outputs(NamedTuple):
    """The hypotheses of a batch of sources.

    T is the greatest length limit in a batch of this padded length, and at least 1. There is one hypothesis per source,
    or k of them, the best first. A source with fewer than k possible hypotheses gets empty ones with score -inf.
    """

    symbols: Int[Array, "T *k b"]  # PAD after the end
    weights: Float[Array, "T *k b s"]  # attention; zero after the end
    lengths: Int[Array, "*k b"]  # EOS counted
    log_probability: Float[Array, "*k b"]  # of the whole output, in nats
    score: Float[Array, "*k b"]  # the log probability under length and coverage penalty, which ranks the hypotheses

    def hypothesis(self, k: int) -> "Outputs":
        """Returns the k-th best hypothesis of every source, from 0."""
        return Outputs(self.symbols[:, k], self.weights[:, k], *(field[k] for field in self[2:]))

    def as_n_best(self) -> "Outputs":
        """Returns one hypothesis per source as a list of one."""
        return Outputs(self.symbols[:, None], self.weights[:, None], *(field[None] for field in self[2:]))


def writable(logits: Float[Array, "*r n"]) -> Float[Array, "*r n"]:
    """Returns the logits that a search chooses from, in which PAD and BOS are -inf.

    Probabilities stay those of all logits, so an output has the same one in a search and under teacher forcing.
    """
    return logits.at[..., jnp.array([PAD, BOS])].set(-jnp.inf)


def length_limits(decode: config.Decode, source_size: int) -> np.ndarray:
    """Returns [source_size + 1], the most symbols of an output for each real source length; 0 for length 0."""
    limits = np.floor(decode.ratio * np.arange(source_size + 1) + decode.extra).astype(np.int32)
    if decode.max_length is not None:
        limits = np.minimum(limits, decode.max_length).astype(np.int32)
    limits[0] = 0
    return limits


def rows_at_once(decode: config.Decode, length: int, samples: int = 1) -> int:
    """Returns how many sources of a padded length have weights that fit into MEMORY; 0 if not even one does."""
    steps = max(1, int(length_limits(decode, length)[-1]))
    return MEMORY // (4 * steps * decode.beam * samples * length)


def fits(decode: config.Decode, length: int) -> bool:
    """Whether a source of a padded length can be decoded."""
    return length <= LONGEST and rows_at_once(decode, length) > 0
