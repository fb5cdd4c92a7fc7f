"""Latent attention: the source position of a target symbol is a random variable z_t, which is summed out.

A latent has a score's form: `latent(param, keys, query_size, lengths, **hyper)` returns a function
`(log_weights [b s], query [b q], log_posterior [b s]) -> log prior [b s]`. The prior is p(z_t = j | y_<t). It is
computed from the step's weights a_t and from the posterior p(z_{t-1} = i | y_<t), which knows the symbol that the last
step wrote. At the first step the prior is a_1; a latent with another first prior returns `PriorWithStart`. The log of a
zero probability is LOG_ZERO, which keeps gradients finite.
"""

import math
from collections.abc import Callable
from typing import Annotated, Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int

from attn_research.annotations import Range, Share
from attn_research.attention.history import source_mask
from attn_research.attention.scores import Keys, Param, Score, weight_init
from attn_research.registry import Registry

# chained: reads `log_posterior`, so each step waits for the symbol before it.
# guided: reads a_t after the first step.
# weighted: reads a_t at some step.
latents = Registry("latent attention", "latent", chained=True, guided=True, weighted=True)

LOG_ZERO = -1e9
Band = Annotated[int, Range(minimum=1, maximum=1000)]

LogWeights = Float[Array, "b s"]
Lengths = Int[Array, " b"]


def from_weights(log_weights: LogWeights, query: Float[Array, "b q"]) -> LogWeights:
    """Returns the first step's weights as its prior."""
    return log_weights


class Latent(NamedTuple):
    """Latent attention over one batch of sources."""

    prior: Callable  # (log weights [b s], query [b q], log posterior [b s]) -> log prior [b s]
    chained: bool
    values: Float[Array, "b s v"]  # for each position, the context if it had all the weight
    first: Callable = from_weights  # (log weights [b s], query [b q]) -> log prior [b s] of the first step


class PriorWithStart(NamedTuple):
    """A latent whose first prior does not come from the weights. It takes the place of the bare function."""

    first: Callable
    prior: Callable


class PriorInput(NamedTuple):
    """What attention returns in place of a step's weights: the input of the prior."""

    log_weights: Float[Array, "*t b s"]
    query: Float[Array, "*t b q"]


def make_prior_input(weights: Float[Array, "*t b s"], query: Float[Array, "*t b q"]) -> PriorInput:
    """Returns the weights divided by their sum, as logs, in float32 at least."""
    return PriorInput(_log_shares(weights), query)


def _log_shares(x: Float[Array, "*b s"]) -> Float[Array, "*b s"]:
    """Returns log(x_j / sum_l x_l), in float32 at least; LOG_ZERO where x_j is 0."""
    total = x.sum(-1, keepdims=True)
    shares = (x / jnp.where(total > 0, total, 1)).astype(jnp.promote_types(x.dtype, jnp.float32))
    return jnp.where(shares > 0, jnp.log(jnp.where(shares > 0, shares, 1)), LOG_ZERO)


@latents.register(chained=False)
def hard(param: Param, keys: Keys, query_size: int, lengths: Lengths) -> Score:
    """p(z_t = j | y_<t) = a_tj   (Wu et al. 2018, exact hard attention, eq. 4; Wu & Cotterell 2019, 0th-order)."""
    return lambda log_weights, query, log_posterior: log_weights


@latents.register
def monotone(param: Param, keys: Keys, query_size: int, lengths: Lengths, leak: Share = 0.0) -> Score:
    """p(z_t = j | z_{t-1} = i) = a_tj / sum_(l >= i) a_tl for j >= i, else 0   (Wu & Cotterell 2019, 0-MONO).

    If no weight is at i or after it, z stays at i. Wu & Cotterell's own code (neural-transducer) masks softly: it
    multiplies the weights before i by `leak`, 1e-7 there, instead of by 0.
    """

    def prior(log_weights, query, log_posterior):
        log_mass_ahead = jax.lax.cumlogsumexp(log_weights, 1, reverse=True)
        no_mass_ahead = log_mass_ahead < LOG_ZERO / 2
        share = jax.lax.cumlogsumexp(jnp.where(no_mass_ahead, LOG_ZERO, log_posterior - log_mass_ahead), 1)
        return jnp.logaddexp(log_weights + share, jnp.where(no_mass_ahead, log_posterior, LOG_ZERO))

    def leaky_prior(log_weights, query, log_posterior):
        log_mass_ahead, behind = _ahead_and_behind(log_weights)
        # The probability of leaving i, per unit of weight at i or after it.
        moves = log_posterior - jnp.logaddexp(log_mass_ahead, math.log(leak) + behind)
        later, earlier = _ahead_and_behind(moves)
        earlier = jnp.logaddexp(earlier, moves)
        later = jnp.pad(later[:, 1:], ((0, 0), (0, 1)), constant_values=LOG_ZERO)
        return log_weights + jnp.logaddexp(earlier, math.log(leak) + later)

    return leaky_prior if leak else prior


def _ahead_and_behind(x: LogWeights) -> tuple[LogWeights, LogWeights]:
    """Returns log sum_(l >= j) exp(x_l) and log sum_(l < j) exp(x_l)."""
    behind = jnp.pad(jax.lax.cumlogsumexp(x, 1)[:, :-1], ((0, 0), (1, 0)), constant_values=LOG_ZERO)
    return jax.lax.cumlogsumexp(x, 1, reverse=True), behind


@latents.register(guided=False, weighted=lambda hyper: hyper["start"] == "score")
def hmm(
    param: Param, keys: Keys, query_size: int, lengths: Lengths, band: Band = 5, monotone: bool = False,
    start: Literal["score", "first"] = "score", leak: Share = 0.0,
) -> Score | PriorWithStart:  # fmt: skip
    """p(z_t = i + o | z_{t-1} = i) = softmax_o(W [q; k_i] + b), |o| <= band   (Wu & Cotterell 2019, 1st-order).

    Only offsets inside the sentence share the mass; with `monotone`, only o >= 0. The score decides nothing but the
    first position. With start="first", as in Wu & Cotterell's own code (neural-transducer), the transitions from
    position 0 decide it, and there is no score. `leak`, 1e-7 there, is added to the probability of each position of the
    sentence. Then `monotone` multiplies the probability of each o < 0 by `leak`, and all are divided by their sum.
    """
    s, offsets = keys.shape[1], range(0 if monotone and not leak else -band, band + 1)
    W = param("W", weight_init, (query_size + keys.shape[-1], len(offsets)))
    b = param("b", nn.initializers.zeros, (len(offsets),))
    from_keys = keys @ W[query_size:] + b[None, None]
    arrival = jnp.arange(s)[:, None] + jnp.asarray(offsets)[None]
    inside = (arrival >= 0)[None] & (arrival[None] < lengths[:, None, None]) & source_mask(lengths, s)[..., None]

    def energies(query):
        logits = from_keys + (query @ W[:query_size])[:, None]
        return logits.astype(jnp.promote_types(logits.dtype, jnp.float32))

    def banded_prior(log_weights, query, log_posterior):
        transitions = jax.nn.log_softmax(jnp.where(inside, energies(query), LOG_ZERO))
        moves = log_posterior[..., None] + jnp.where(inside, transitions, LOG_ZERO)
        arrivals = [jnp.roll(moves[..., n], offset, 1) for n, offset in enumerate(offsets)]
        return jax.nn.logsumexp(jnp.stack(arrivals, -1), -1)

    def leaky_prior(log_weights, query, log_posterior):
        p = _to_positions(jax.nn.softmax(energies(query)), offsets) + leak
        p = jnp.triu(p) + leak * jnp.tril(p, -1) if monotone else p
        transitions = _log_shares(p * source_mask(lengths, s)[:, None])
        return jax.nn.logsumexp(log_posterior[..., None] + transitions, 1)

    prior = leaky_prior if leak else banded_prior
    if start == "score":
        return prior

    def from_first(log_weights, query):
        return prior(log_weights, query, jnp.full_like(log_weights, LOG_ZERO).at[:, 0].set(0))

    return PriorWithStart(from_first, prior)


def _to_positions(by_offset: Float[Array, "b i o"], offsets: range) -> Float[Array, "b i j"]:
    """Returns the probability of every position, from that of every offset; 0 if no offset leads there."""
    s = by_offset.shape[1]
    index = jnp.arange(s)[None] - jnp.arange(s)[:, None] - offsets[0]
    in_range = (index >= 0) & (index < len(offsets))
    by_position = jnp.take_along_axis(by_offset, jnp.where(in_range, index, 0)[None], -1)
    return jnp.where(in_range[None], by_position, 0)
