"""The output layer under latent attention: it runs at every source position, and the positions are summed out.

p(y_t | y_<t) = sum_j p(z_t = j | y_<t) p(y_t | z_t = j, y_<t), the latter from the attentional vector of h_j alone.
What stands for logits is log p(y_t | y_<t), of which a log-softmax makes itself; what stands for the weights is the
prior p(z_t = j | y_<t), which knows nothing of y_t.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from attn_research.attention.latent import Latent, Look
from attn_research.models.decoder import State
from attn_research.models.translating import Translating, shifted


class Belief(NamedTuple):
    """What a chained latent carries to the next step, where the symbol that was written is known."""

    begun: Bool[Array, " b"]  # False before the first step
    log_prior: Float[Array, "b s"]
    log_emissions: Float[Array, "b s n"]  # log p(y_t | z_t = j, y_<t) of every symbol


class Believing(NamedTuple):
    """Between two target steps."""

    decoder: State
    belief: Belief | None  # None where no step knows of the one before


class Marginal(Translating):
    """An encoded batch under latent attention."""

    @property
    def start(self) -> Believing:
        """The state before the first target symbol."""
        latent, state = self.steps.latent, self.steps.start
        if not latent.chained:
            return Believing(state, None)
        b, s, _ = latent.values.shape
        dtype = jnp.promote_types(latent.values.dtype, jnp.float32)
        n = jax.eval_shape(self.output, jax.ShapeDtypeStruct((1, self.steps.size), dtype)).shape[-1]
        return Believing(state, Belief(jnp.zeros(b, bool), jnp.zeros((b, s), dtype), jnp.zeros((b, s, n), dtype)))

    def step(
        self, state: Believing, symbols: Int[Array, " b"]
    ) -> tuple[Believing, Float[Array, "b n"], Float[Array, "b s"]]:
        """The next state, log p of the next symbols and the prior of their positions."""
        decoder, (vectors, look) = self.steps.step(state.decoder, self.embed(symbols))
        log_emissions = self.log_emissions(vectors)
        log_prior = after_symbol(self.steps.latent, look, state.belief, symbols)
        belief = state.belief and Belief(jnp.ones_like(state.belief.begun), log_prior, log_emissions)
        return Believing(decoder, belief), mixture(log_prior, log_emissions), jnp.exp(log_prior)

    def force(self, target: Int[Array, "b t"]) -> tuple[Float[Array, "t b n"], Float[Array, "t b s"]]:
        """log p and priors of all steps along `target`, which each step's input is one symbol behind (time first)."""
        vectors, looks = self.steps.force(self.drop_symbols(self.embed(shifted(target))))
        kept = self.drop_vectors(jnp.ones_like(vectors[:, :, 0]))  # the same units at every source position
        log_emissions = self.log_emissions(vectors * kept[:, :, None])
        log_priors = forward(self.steps.latent, looks, chosen(log_emissions, target.T))
        return mixture(log_priors, log_emissions), jnp.exp(log_priors)

    def log_emissions(self, vectors: Float[Array, "*t b s a"]) -> Float[Array, "*t b s n"]:
        """log p(y_t | z_t = j, y_<t)."""
        logits = self.output(vectors)
        return jax.nn.log_softmax(logits.astype(jnp.promote_types(logits.dtype, jnp.float32)))


def mixture(log_prior: Float[Array, "*t b s"], log_emissions: Float[Array, "*t b s n"]) -> Float[Array, "*t b n"]:
    """log sum_j exp(log prior_j + log emission_j)."""
    return jax.nn.logsumexp(log_prior[..., None] + log_emissions, -2)


def chosen(log_emissions: Float[Array, "*t b s n"], symbols: Int[Array, "*t b"]) -> Float[Array, "*t b s"]:
    """The emissions of one symbol a row."""
    return jnp.take_along_axis(log_emissions, symbols[..., None, None], -1)[..., 0]


def posterior(log_prior: Float[Array, "b s"], seen: Float[Array, "b s"]) -> Float[Array, "b s"]:
    """log p(z_t = j | y_<=t), `seen` being the emissions of y_t."""
    return jax.nn.log_softmax(log_prior + seen)


def after_symbol(latent: Latent, look: Look, belief: Belief | None, symbols: Int[Array, " b"]) -> Float[Array, "b s"]:
    """The prior of a step whose input is `symbols`, those written at the step before."""
    if belief is None:
        return latent.prior(*look, None)
    before = posterior(belief.log_prior, chosen(belief.log_emissions, symbols))
    return jnp.where(belief.begun[:, None], latent.prior(*look, before), latent.first(*look))


def forward(latent: Latent, looks: Look, seen: Float[Array, "t b s"]) -> Float[Array, "t b s"]:
    """The priors of all steps, `seen` being the emissions of the given symbols (forward algorithm, normalised)."""
    if not latent.chained:
        return latent.prior(*looks, None)

    def step(log_prior, x):
        look, seen = x
        log_prior = latent.prior(*look, posterior(log_prior, seen))
        return log_prior, log_prior

    first = latent.first(*(x[0] for x in looks))
    later = jax.lax.scan(step, first, (jax.tree.map(lambda x: x[1:], looks), seen[:-1]))[1]
    return jnp.concatenate([first[None], later])
