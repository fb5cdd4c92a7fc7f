"""The output layer under latent attention: it runs at every source position, and the positions are summed out.

p(y_t | y_<t) = sum_j p(z_t = j | y_<t) p(y_t | z_t = j, y_<t), the latter from the attentional vector of h_j alone.
What stands for logits is log p(y_t | y_<t), of which a log-softmax makes itself; what stands for the weights is the
prior p(z_t = j | y_<t), which knows nothing of y_t.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from attn_research.attention.latent import Latent, PriorInput
from attn_research.models.decoder import DecoderState
from attn_research.models.session import DecoderSession, shift_right


class Belief(NamedTuple):
    """What a chained latent carries to the next step, where the symbol that was written is known."""

    started: Bool[Array, " b"]  # False before the first step
    log_prior: Float[Array, "b s"]
    log_emissions: Float[Array, "b s n"]  # log p(y_t | z_t = j, y_<t) of every symbol


class LatentDecoderState(NamedTuple):
    """Between two target steps."""

    decoder: DecoderState
    belief: Belief | None  # None where no step knows of the one before


class LatentDecoderSession(DecoderSession):
    """An encoded batch under latent attention."""

    @property
    def start(self) -> LatentDecoderState:
        """The state before the first target symbol."""
        latent, state = self.steps.latent, self.steps.start
        if not latent.chained:
            return LatentDecoderState(state, None)
        b, s, _ = latent.values.shape
        dtype = jnp.promote_types(latent.values.dtype, jnp.float32)
        n = jax.eval_shape(self.output, jax.ShapeDtypeStruct((1, self.steps.size), dtype)).shape[-1]
        return LatentDecoderState(
            state, Belief(jnp.zeros(b, bool), jnp.zeros((b, s), dtype), jnp.zeros((b, s, n), dtype))
        )

    def step(
        self, state: LatentDecoderState, symbols: Int[Array, " b"]
    ) -> tuple[LatentDecoderState, Float[Array, "b n"], Float[Array, "b s"]]:
        """The next state, log p of the next symbols and the prior of their positions."""
        decoder, (vectors, prior_input) = self.steps.step(state.decoder, self.embed(symbols))
        log_emissions = self.log_emissions(vectors)
        log_prior = next_prior(self.steps.latent, prior_input, state.belief, symbols)
        belief = state.belief and Belief(jnp.ones_like(state.belief.started), log_prior, log_emissions)
        return LatentDecoderState(decoder, belief), mixture(log_prior, log_emissions), jnp.exp(log_prior)

    def teacher_force(self, target: Int[Array, "b t"]) -> tuple[Float[Array, "t b n"], Float[Array, "t b s"]]:
        """log p and priors of all steps along `target`, which each step's input is one symbol behind (time first)."""
        vectors, prior_inputs = self.steps.teacher_force(self.drop_symbols(self.embed(shift_right(target))))
        dropout_mask = self.drop_vectors(jnp.ones_like(vectors[:, :, 0]))  # the same units at every source position
        log_emissions = self.log_emissions(vectors * dropout_mask[:, :, None])
        log_priors = forward_algorithm(self.steps.latent, prior_inputs, select_symbol(log_emissions, target.T))
        return mixture(log_priors, log_emissions), jnp.exp(log_priors)

    def log_emissions(self, vectors: Float[Array, "*t b s a"]) -> Float[Array, "*t b s n"]:
        """log p(y_t | z_t = j, y_<t)."""
        logits = self.output(vectors)
        return jax.nn.log_softmax(logits.astype(jnp.promote_types(logits.dtype, jnp.float32)))


def mixture(log_prior: Float[Array, "*t b s"], log_emissions: Float[Array, "*t b s n"]) -> Float[Array, "*t b n"]:
    """log sum_j exp(log prior_j + log emission_j)."""
    return jax.nn.logsumexp(log_prior[..., None] + log_emissions, -2)


def select_symbol(log_emissions: Float[Array, "*t b s n"], symbols: Int[Array, "*t b"]) -> Float[Array, "*t b s"]:
    """The emissions of one symbol a row."""
    return jnp.take_along_axis(log_emissions, symbols[..., None, None], -1)[..., 0]


def posterior(log_prior: Float[Array, "b s"], log_emissions: Float[Array, "b s"]) -> Float[Array, "b s"]:
    """log p(z_t = j | y_<=t), `log_emissions` being the emissions of y_t."""
    return jax.nn.log_softmax(log_prior + log_emissions)


def next_prior(
    latent: Latent, prior_input: PriorInput, belief: Belief | None, symbols: Int[Array, " b"]
) -> Float[Array, "b s"]:
    """The prior of a step whose input is `symbols`, those written at the step before."""
    if belief is None:
        return latent.prior(*prior_input, None)
    log_posterior = posterior(belief.log_prior, select_symbol(belief.log_emissions, symbols))
    return jnp.where(belief.started[:, None], latent.prior(*prior_input, log_posterior), latent.first(*prior_input))


def forward_algorithm(
    latent: Latent, prior_inputs: PriorInput, log_emissions: Float[Array, "t b s"]
) -> Float[Array, "t b s"]:
    """The priors of all steps by the normalized forward algorithm; `log_emissions` are those of the given symbols."""
    if not latent.chained:
        return latent.prior(*prior_inputs, None)

    def step(log_prior, x):
        prior_input, log_emissions = x
        log_prior = latent.prior(*prior_input, posterior(log_prior, log_emissions))
        return log_prior, log_prior

    first = latent.first(*(x[0] for x in prior_inputs))
    later = jax.lax.scan(step, first, (jax.tree.map(lambda x: x[1:], prior_inputs), log_emissions[:-1]))[1]
    return jnp.concatenate([first[None], later])
