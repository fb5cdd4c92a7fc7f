"""Marginalization under latent attention: sums out the source position z_t that symbol y_t comes from.

p(y_t | y_<t) = sum_j p(z_t = j | y_<t) p(y_t | z_t = j, y_<t). The prior p(z_t = j | y_<t) comes from
attention/latent.py. The emission p(y_t | z_t = j, y_<t) is the output layer's, from the attentional vector of
position j alone.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from attn_research.attention.latent import Latent, PriorInput


class Belief(NamedTuple):
    """What a chained latent carries to the next step, which knows the symbol that this step wrote."""

    started: Bool[Array, " b"]  # False before the first step
    log_prior: Float[Array, "b s"]
    log_emissions: Float[Array, "b s n"]  # log p(y_t | z_t = j, y_<t) of every symbol


def mixture(log_prior: Float[Array, "*t b s"], log_emissions: Float[Array, "*t b s n"]) -> Float[Array, "*t b n"]:
    """Returns log sum_j exp(log prior_j + log emission_j)."""
    return jax.nn.logsumexp(log_prior[..., None] + log_emissions, -2)


def select_symbol(log_emissions: Float[Array, "*t b s n"], symbols: Int[Array, "*t b"]) -> Float[Array, "*t b s"]:
    """Returns the log emissions of one symbol per row."""
    return jnp.take_along_axis(log_emissions, symbols[..., None, None], -1)[..., 0]


def posterior(log_prior: Float[Array, "b s"], log_emissions: Float[Array, "b s"]) -> Float[Array, "b s"]:
    """Returns log p(z_t = j | y_<=t), from the log emissions of y_t."""
    return jax.nn.log_softmax(log_prior + log_emissions)


def next_prior(
    latent: Latent, prior_input: PriorInput, belief: Belief | None, symbols: Int[Array, " b"]
) -> Float[Array, "b s"]:
    """Returns the log prior of a step whose input is `symbols`, which the step before wrote."""
    if belief is None:
        return latent.prior(*prior_input, None)
    log_posterior = posterior(belief.log_prior, select_symbol(belief.log_emissions, symbols))
    return jnp.where(belief.started[:, None], latent.prior(*prior_input, log_posterior), latent.first(*prior_input))


def forward_algorithm(
    latent: Latent, prior_inputs: PriorInput, log_emissions: Float[Array, "t b s"]
) -> Float[Array, "t b s"]:
    """Returns the log priors of all steps, by the normalized forward algorithm.

    Args:
      latent: the attention over the batch.
      prior_inputs: of all steps, time first.
      log_emissions: of the target symbols, time first.
    """
    if not latent.chained:
        return latent.prior(*prior_inputs, None)

    def step(log_prior, x):
        prior_input, log_emissions = x
        log_prior = latent.prior(*prior_input, posterior(log_prior, log_emissions))
        return log_prior, log_prior

    first = latent.first(*(x[0] for x in prior_inputs))
    later = jax.lax.scan(step, first, (jax.tree.map(lambda x: x[1:], prior_inputs), log_emissions[:-1]))[1]
    return jnp.concatenate([first[None], later])
