"""What a search gives, and how long it may go on."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from attn_research import config
from attn_research.data.vocab import BOS, PAD


class Outputs(NamedTuple):
    """What was decoded; T is the most steps that any source of the padded length may take, 1 at least.

    One hypothesis a source, or k of them, the best first; where there are fewer, empty ones with score -inf follow.
    """

    symbols: Int[Array, "T *k b"]  # PAD after the end
    weights: Float[Array, "T *k b s"]  # attention; zero after the end
    lengths: Int[Array, "*k b"]  # EOS counted
    log_probability: Float[Array, "*k b"]  # of the whole output, in nats
    score: Float[Array, "*k b"]  # the log probability under the length penalty, which ranks the hypotheses

    def hypothesis(self, k: int) -> "Outputs":
        """The k-th best of every source, from 0."""
        return Outputs(self.symbols[:, k], self.weights[:, k], *(field[k] for field in self[2:]))

    def as_n_best(self) -> "Outputs":
        """One hypothesis a source as a list of one."""
        return Outputs(self.symbols[:, None], self.weights[:, None], *(field[None] for field in self[2:]))


def writable(logits: Float[Array, "*r n"]) -> Float[Array, "*r n"]:
    """The logits among which a search chooses: PAD and BOS are never written.

    Probabilities are still those of all logits, so that an output has the same one in a search and along a reference.
    """
    return logits.at[..., jnp.array([PAD, BOS])].set(-jnp.inf)


def length_limits(decode: config.Decode, source_size: int) -> np.ndarray:
    """[source_size + 1] the most symbols that a source of each real length may give; none for one of padding alone."""
    limits = np.floor(decode.ratio * np.arange(source_size + 1) + decode.extra).astype(np.int32)
    limits[0] = 0
    return limits
