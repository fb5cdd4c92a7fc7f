"""An encoded batch, ready to be decoded: the view of a model that training and every search have."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, cast, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from attn_research.attention.latent import Latent
from attn_research.data.vocab import BOS
from attn_research.models.decoder import BoundDecoder, DecoderState
from attn_research.models.latent import Belief, forward_algorithm, mixture, next_prior, select_symbol
from attn_research.models.output_normalizers import OutputNormalizer


def shift_right(target: Int[Array, "b t"]) -> Int[Array, "t b"]:
    """Returns the inputs of the steps that write `target`: BOS first, the last symbol dropped, time first."""
    return jnp.pad(target.T[:-1], ((1, 0), (0, 0)), constant_values=BOS)


@runtime_checkable
class Session(Protocol):
    """An encoded batch, as a search sees it. A state belongs to its session; a search stores and reorders it."""

    @property
    def start(self) -> Any: ...

    def step(self, state: Any, symbols: Any) -> tuple[Any, Any, Any]:
        """Returns the next state, logits [b n] and attention weights [b s].

        The softmax of the logits is the probability of the next symbols. It is 0 where a logit is -inf.
        """

    def teacher_force(self, target: Any) -> tuple[Any, Any]:
        """Returns logits [t b n] and attention weights [t b s] along a target [b t]."""


class DecoderSession(NamedTuple):
    """An encoded batch, decoded step by step or along given targets."""

    decoder: BoundDecoder
    embed: Callable  # symbols [...] -> vectors [... e]
    output: Callable  # attentional vectors [... a] -> z [... n]
    drop_symbols: Callable  # dropout of the symbol vectors; the identity outside training
    drop_vectors: Callable  # dropout of the attentional vectors; the identity outside training
    normalizer: OutputNormalizer  # of z

    @property
    def start(self) -> DecoderState:
        """The state before the first target symbol."""
        return self.decoder.start

    def step(
        self, state: DecoderState, symbols: Int[Array, " b"]
    ) -> tuple[DecoderState, Float[Array, "b n"], Float[Array, "b s"]]:
        """Returns the next state, the logits of the next symbols and the attention weights."""
        state, (vector, weights) = self.decoder.step(state, self.embed(symbols))
        return state, self.normalizer.logits(self.output(vector)), weights

    def teacher_force(self, target: Int[Array, "b t"]) -> tuple[Float[Array, "t b n"], Float[Array, "t b s"]]:
        """Returns logits and attention weights of all steps, time first. Step t reads symbol t - 1 of `target`."""
        z, weights = self.unnormalized(target)
        return self.normalizer.logits(z), weights

    def unnormalized(self, target: Int[Array, "b t"]) -> tuple[Float[Array, "t b n"], Float[Array, "t b s"]]:
        """Returns z, of which the normalizer has the loss, and attention weights; otherwise as `teacher_force`."""
        vectors, weights = self.decoder.teacher_force(self.drop_symbols(self.embed(shift_right(target))))
        return self.output(self.drop_vectors(vectors)), weights


class LatentDecoderState(NamedTuple):
    """The state between two target steps."""

    decoder: DecoderState
    belief: Belief | None  # None if no step reads the one before


class LatentDecoderSession(DecoderSession):
    """An encoded batch under latent attention.

    Logits are log p(y_t | y_<t), which a log-softmax leaves as they are. Weights are the prior p(z_t = j | y_<t),
    which does not know y_t. Its state has a type of its own, which `step` alone reads.
    """

    @property
    def latent(self) -> Latent:
        """The latent of the decoder, which has one under this session."""
        return cast(Latent, self.decoder.latent)

    @property
    def start(self) -> LatentDecoderState:  # type: ignore[override]  # its state has a type of its own
        """The state before the first target symbol."""
        latent, state = self.latent, self.decoder.start
        if not latent.chained:
            return LatentDecoderState(state, None)
        b, s, _ = latent.values.shape
        dtype = jnp.promote_types(latent.values.dtype, jnp.float32)
        n = jax.eval_shape(self.output, jax.ShapeDtypeStruct((1, self.decoder.size), dtype)).shape[-1]
        return LatentDecoderState(
            state, Belief(jnp.zeros(b, bool), jnp.zeros((b, s), dtype), jnp.zeros((b, s, n), dtype))
        )

    def step(  # type: ignore[override]  # its state has a type of its own
        self, state: LatentDecoderState, symbols: Int[Array, " b"]
    ) -> tuple[LatentDecoderState, Float[Array, "b n"], Float[Array, "b s"]]:
        """Returns the next state, log p of the next symbols and the prior of their positions."""
        decoder, (vectors, prior_input) = self.decoder.step(state.decoder, self.embed(symbols))
        log_emissions = self.log_emissions(vectors)
        log_prior = next_prior(self.latent, prior_input, state.belief, symbols)
        belief = state.belief and Belief(jnp.ones_like(state.belief.started), log_prior, log_emissions)
        return LatentDecoderState(decoder, belief), mixture(log_prior, log_emissions), jnp.exp(log_prior)

    def unnormalized(self, target: Int[Array, "b t"]) -> tuple[Float[Array, "t b n"], Float[Array, "t b s"]]:
        """Returns log p and priors of all steps, time first. Step t reads symbol t - 1 of `target`."""
        vectors, prior_inputs = self.decoder.teacher_force(self.drop_symbols(self.embed(shift_right(target))))
        dropout_mask = self.drop_vectors(jnp.ones_like(vectors[:, :, 0]))  # the same units at every source position
        log_emissions = self.log_emissions(vectors * dropout_mask[:, :, None])
        log_priors = forward_algorithm(self.latent, prior_inputs, select_symbol(log_emissions, target.T))
        return mixture(log_priors, log_emissions), jnp.exp(log_priors)

    def log_emissions(self, vectors: Float[Array, "*t b s a"]) -> Float[Array, "*t b s n"]:
        """Returns log p(y_t | z_t = j, y_<t)."""
        logits = self.output(vectors)
        return jax.nn.log_softmax(logits.astype(jnp.promote_types(logits.dtype, jnp.float32)))
