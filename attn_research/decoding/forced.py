"""Forced decoding, inside jit: the log probability and the attention weights of given outputs."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from attn_research import config
from attn_research.decoding.outputs import MEMORY, Outputs
from attn_research.decoding.penalties import coverage_penalty, penalties, require_attention
from attn_research.models.session import Session

MAX_LOGITS = 2**28  # bytes of the logits of a batch


def forced_outputs(
    session: Session,
    source_lengths: Int[Array, " b"],
    target: Int[Array, "b t"],
    lengths: Int[Array, " b"],
    decode: config.Decode,
) -> Outputs:
    """Returns the given outputs as a search with `decode` returns them.

    Args:
      target: ids with EOS, then PAD.
      lengths: of the targets, with EOS; 0 for an empty row.
    """
    logits, weights = session.teacher_force(target)
    inside = jnp.arange(target.shape[1])[:, None] < lengths[None]
    log_p = jnp.take_along_axis(jax.nn.log_softmax(logits), target.T[..., None], -1)[..., 0]
    log_probability = jnp.where(inside, log_p, 0).sum(0)
    score = penalties.bind(decode.length_penalty)(log_probability, jnp.maximum(lengths, 1))
    weights *= inside[..., None]
    require_attention(decode, weights.shape[-1] > 0)
    if decode.coverage_penalty:
        score += coverage_penalty(weights.sum(0), source_lengths, decode.coverage_penalty)
    return Outputs(target.T, weights, lengths, log_probability, score)


def forced_rows(length: int, symbols: int) -> int:
    """Returns how many pairs fit into memory if sources and targets are padded to `length`; 0 if not even one does.

    Args:
      symbols: size of the target vocabulary.
    """
    return min(MEMORY // (4 * length * length), MAX_LOGITS // (4 * length * symbols))
