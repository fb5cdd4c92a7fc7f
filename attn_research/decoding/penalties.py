"""Length penalties: turn the log probability of a hypothesis into a score that ranks hypotheses of all lengths.

`penalty(log_probability, length, **hyper) -> score`. `length` counts EOS and broadcasts against `log_probability`. The
score must not fall as the log probability grows, and must be monotonic in the length: beam search relies on both to
stop. The coverage penalty is added to that score.
"""

from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from attn_research import config
from attn_research.annotations import Range
from attn_research.attention.history import source_mask
from attn_research.registry import Registry, Spec, require

penalties = Registry("length penalty")

LogProbability = Float[Array, "..."]
Length = Int[Array, "..."]
Alpha = Annotated[float, Range(above=0, maximum=5)]

TOLERANCE = 1e-5  # relative, for rounding


def check_penalty(spec: Spec) -> None:
    """Checks the penalty that `spec` names, for log probabilities from -1,000 and lengths to 1,000.

    Raises:
      UserError: the name or a hyperparameter is unknown, or beam search would stop too early.
    """
    penalty = penalties.bind(spec)
    with jax.ensure_compile_time_eval():
        log_probability, length = map(jnp.asarray, (-np.geomspace(1000, 0.01, 50)[:, None], np.arange(1, 1001)[None]))
        scores = np.broadcast_to(np.asarray(penalty(log_probability, length), np.float32), (50, 1000))
    tolerance, title = TOLERANCE * np.abs(scores), f"length penalty {str(spec)!r}"
    grows = (np.diff(scores, axis=0) >= -tolerance[1:]).all()
    falls, rises = np.diff(scores) <= tolerance[:, 1:], np.diff(scores) >= -tolerance[:, 1:]
    monotonic = (falls.all(1) | rises.all(1)).all()
    require(bool(grows), f"{title} falls as the log probability grows, so beam search would stop too early")
    require(bool(monotonic), f"{title} both rises and falls with the length, so beam search would stop too early")


def require_attention(decode: config.Decode, attends: bool) -> None:
    """Rejects a coverage penalty without attention weights."""
    require(
        attends or not decode.coverage_penalty,
        f"decode.coverage_penalty {decode.coverage_penalty} has no effect without attention; "
        "set decode.coverage_penalty to 0.0, or choose a score that attends",
    )


def coverage_penalty(coverage: Float[Array, "*k b s"], lengths: Int[Array, " b"], beta: float) -> Float[Array, "*k b"]:
    """beta * sum_i log(min(coverage_i, 1)) over the source positions i   (Wu et al. 2016, eq. 14).

    A position without any weight counts as log(1e-38) = -87, so that the score stays finite.

    Args:
      coverage: attention weights, summed over the steps of an output.
      lengths: of the sources.
    """
    logs = jnp.log(jnp.clip(coverage, jnp.finfo(coverage.dtype).tiny, 1))
    return beta * jnp.where(source_mask(lengths, coverage.shape[-1]), logs, 0).sum(-1)


@penalties.register
def none(log_probability: LogProbability, length: Length) -> LogProbability:
    """log p."""
    return log_probability


@penalties.register
def average(log_probability: LogProbability, length: Length) -> LogProbability:
    """log p / l.

    fairseq's default; its `lenpen` is an exponent of l. In OpenNMT it is `avg`, which does not count EOS.
    """
    return log_probability / length


@penalties.register
def wu(log_probability: LogProbability, length: Length, alpha: Alpha = 0.6) -> LogProbability:
    """log p / ((5 + l) / 6)^alpha   (Wu et al. 2016, eq. 14, without its coverage penalty)."""
    return log_probability / ((5 + length) / 6) ** alpha
