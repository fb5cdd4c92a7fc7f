"""Length penalties: turn the log probability of a hypothesis into a score that ranks hypotheses of all lengths.

`penalty(log_probability, length, **hyper) -> score`. `length` counts EOS and broadcasts against `log_probability`. The
score must grow with the log probability, and must be monotonic in the length: beam search relies on both to stop.
"""

from typing import Annotated

from jaxtyping import Array, Float, Int

from attn_research.annotations import Range
from attn_research.registry import Registry

penalties = Registry("length penalty")

LogProbability = Float[Array, "..."]
Length = Int[Array, "..."]
Alpha = Annotated[float, Range(above=0, maximum=5)]


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
