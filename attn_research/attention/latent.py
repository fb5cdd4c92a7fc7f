"""Latent attention: which source position a target symbol comes from is a random variable z_t that is summed out.

A latent has a score's form: `latent(param, keys, query_size, lengths, **hyper)` returns a function
`(log_weights [b s], query [b q], before [b s]) -> log prior [b s]`, which gives log p(z_t = j | y_<t) from the step's
weights a_t and from `before`, log p(z_{t-1} = i | y_<t), which knows what was written at the step before. At the first
step the prior is a_1 for all of them. A probability of zero is NEVER in the log, so that gradients stay finite.
"""

from collections.abc import Callable
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int

from attn_research.annotations import Range
from attn_research.attention.history import source_mask
from attn_research.attention.scores import Keys, Param, Score, weight
from attn_research.registry import Registry

# chained: reads `before`, so that each step waits for the symbol before it; guided: reads a_t after the first step.
latents = Registry("latent attention", chained=True, guided=True)

NEVER = -1e9
Band = Annotated[int, Range(least=1, most=1000)]

LogWeights = Float[Array, "b s"]
Lengths = Int[Array, " b"]


class Latent(NamedTuple):
    """Latent attention over one batch of sources."""

    prior: Callable  # (log weights [b s], query [b q], before [b s]) -> log prior [b s]
    chained: bool
    values: Float[Array, "b s v"]  # the context, were all the weight at one position


class Look(NamedTuple):
    """What attention says of a step, in place of its weights: all that the prior is made of."""

    log_weights: Float[Array, "*t b s"]
    query: Float[Array, "*t b q"]


def look(weights: Float[Array, "*t b s"], query: Float[Array, "*t b q"]) -> Look:
    """Weights as a distribution, in float32: where they sum to less than one, all is divided by the sum."""
    total = weights.sum(-1, keepdims=True)
    shares = (weights / jnp.where(total > 0, total, 1)).astype(jnp.float32)
    return Look(jnp.where(shares > 0, jnp.log(jnp.where(shares > 0, shares, 1)), NEVER), query)


@latents.register(chained=False)
def hard(param: Param, keys: Keys, query_size: int, lengths: Lengths) -> Score:
    """p(z_t = j | y_<t) = a_tj   (Wu et al. 2018, exact hard attention, eq. 4; Wu & Cotterell 2019, 0th-order)."""
    return lambda log_weights, query, before: log_weights


@latents.register
def monotone(param: Param, keys: Keys, query_size: int, lengths: Lengths) -> Score:
    """p(z_t = j | z_{t-1} = i) = a_tj / sum_(l >= i) a_tl for j >= i, else 0   (Wu & Cotterell 2019, 0-MONO).

    Where no weight lies at i or behind it, z stays at i. Wu & Cotterell's own code has a soft mask, through which about
    1e-7 goes back.
    """

    def prior(log_weights, query, before):
        ahead = jax.lax.cumlogsumexp(log_weights, 1, reverse=True)
        stuck = ahead < NEVER / 2
        share = jax.lax.cumlogsumexp(jnp.where(stuck, NEVER, before - ahead), 1)
        return jnp.logaddexp(log_weights + share, jnp.where(stuck, before, NEVER))

    return prior


@latents.register(guided=False)
def hmm(param: Param, keys: Keys, query_size: int, lengths: Lengths, band: Band = 5, monotone: bool = False) -> Score:
    """p(z_t = i + o | z_{t-1} = i) = softmax_o(W [q; k_i] + b), |o| <= band   (Wu & Cotterell 2019, 1st-order).

    Only offsets inside the sentence share the mass; with `monotone` only o >= 0. The score decides the first position
    alone; Wu & Cotterell's own code has no score there, but the transitions from position 0.
    """
    s, offsets = keys.shape[1], range(0 if monotone else -band, band + 1)
    W = param("W", weight, (query_size + keys.shape[-1], len(offsets)))
    b = param("b", nn.initializers.zeros, (len(offsets),))
    from_keys = keys @ W[query_size:] + b[None, None]
    arrival = jnp.arange(s)[:, None] + jnp.asarray(offsets)[None]
    inside = (arrival >= 0)[None] & (arrival[None] < lengths[:, None, None]) & source_mask(lengths, s)[..., None]

    def prior(log_weights, query, before):
        logits = from_keys + (query @ W[:query_size])[:, None]
        transitions = jax.nn.log_softmax(jnp.where(inside, logits.astype(jnp.float32), NEVER))
        moves = before[..., None] + jnp.where(inside, transitions, NEVER)
        arrivals = [jnp.roll(moves[..., n], offset, 1) for n, offset in enumerate(offsets)]
        return jax.nn.logsumexp(jnp.stack(arrivals, -1), -1)

    return prior
