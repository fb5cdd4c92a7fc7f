"""Diagnostics of attention weights: how many positions they use, how they move, and what they leave out."""

import numpy as np
from jaxtyping import Float, Int

from attn_research.metrics.error_rates import Counts

COVERED = 0.5  # total weight from which a source symbol counts as covered


def diagnose(
    weights: Float[np.ndarray, "t b s"], steps: Int[np.ndarray, " b"], sources: Int[np.ndarray, " b"]
) -> dict[str, Counts]:
    """Returns numerators [b] and denominators [b] of every diagnostic of a batch's weights, a_tj.

    - entropy: -sum_j a_tj log a_tj, in nats, per step.
    - effective_support: exp(entropy of the step), in source symbols, per step.
    - zero_share: weights that are exactly 0, per step and source symbol.
    - monotonicity: 1 if argmax_j a_tj is not before that of the step before, per step after the first.
    - jump: distance between the two, in source symbols, per step after the first.
    - covered: 1 if sum_t a_tj is at least 0.5, per source symbol.
    - padding_mass: weight after the end of the source, per step. 0, unless a variant is registered with `leaks`.

    Args:
      weights: of every step. Those of steps after the last one do not count.
      steps: the number of steps of each item, with that of EOS.
      sources: the number of source symbols of each item.
    """
    written = np.arange(weights.shape[0])[:, None] < steps
    visible = np.arange(weights.shape[2]) < sources[:, None]
    weights = np.where(written[:, :, None], weights, 0)
    return _spread(weights, written, visible, steps, sources) | _movement(weights.argmax(-1), written, steps)


def _spread(
    weights: np.ndarray, written: np.ndarray, visible: np.ndarray, steps: np.ndarray, sources: np.ndarray
) -> dict[str, Counts]:
    """Returns the diagnostics of how the weights are spread over the source."""
    logarithms = np.log(weights, out=np.zeros_like(weights), where=weights > 0)
    entropies = -np.einsum("tbs,tbs->tb", weights, logarithms).astype(float)
    totals = weights.sum(0, dtype=float)
    zeros = np.count_nonzero((weights == 0) & written[:, :, None] & visible, axis=(0, 2))
    return {
        "entropy": (entropies.sum(0), steps),
        "effective_support": ((np.exp(entropies) * written).sum(0), steps),
        "zero_share": (zeros, steps * sources),
        "covered": (((totals >= COVERED) & visible).sum(-1), sources),
        "padding_mass": ((totals * ~visible).sum(-1), steps),
    }


def _movement(peaks: np.ndarray, written: np.ndarray, steps: np.ndarray) -> dict[str, Counts]:
    """Returns the diagnostics of how the source positions with the largest weights, `peaks` [t b], move."""
    moves = np.diff(peaks, axis=0)
    counted, pairs = written[1:], np.maximum(steps - 1, 0)
    return {
        "monotonicity": (((moves >= 0) & counted).sum(0), pairs),
        "jump": ((np.abs(moves) * counted).sum(0), pairs),
    }
