"""Ensembles: several models that write one output together. Each step averages their probabilities."""

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from attn_research.models.output_normalizers import OutputNormalizer, softmax
from attn_research.models.seq2seq import Seq2Seq
from attn_research.models.session import DecoderSession


class EnsembleSession(NamedTuple):
    """The same encoded batch under several models with the same vocabularies, as a `Session`.

    Logits are log p(y_t | y_<t), where p is the mean over the members. Weights are the mean over the members that
    attend.
    """

    members: tuple[DecoderSession, ...]

    @property
    def normalizer(self) -> OutputNormalizer:
        """The softmax of log p, with cross-entropy."""
        return softmax()._replace(sparse=all(member.normalizer.sparse for member in self.members))

    @property
    def start(self) -> tuple[Any, ...]:
        """The state of every member before the first target symbol."""
        return tuple(member.start for member in self.members)

    def step(
        self, state: tuple[Any, ...], symbols: Int[Array, " b"]
    ) -> tuple[tuple[Any, ...], Float[Array, "b n"], Float[Array, "b s"]]:
        """Returns the next states, log p of the next symbols and the attention weights."""
        results = [member.step(one, symbols) for member, one in zip(self.members, state, strict=True)]
        states, logits, weights = zip(*results, strict=True)
        return states, mean_log_probability(logits), mean_weights(weights)

    def teacher_force(self, target: Int[Array, "b t"]) -> tuple[Float[Array, "t b n"], Float[Array, "t b s"]]:
        """Returns log p and attention weights of all steps, time first."""
        logits, weights = zip(*(member.teacher_force(target) for member in self.members), strict=True)
        return mean_log_probability(logits), mean_weights(weights)

    def unnormalized(self, target: Int[Array, "b t"]) -> tuple[Float[Array, "t b n"], Float[Array, "t b s"]]:
        """Returns the same as `teacher_force`, since `normalizer` takes log p."""
        return self.teacher_force(target)


class Ensemble(NamedTuple):
    """Several models with the same vocabularies, called as one model."""

    members: tuple[Seq2Seq, ...]

    def apply(self, params: Sequence[Any], source: Int[Array, "b s"], lengths: Int[Array, " b"]) -> EnsembleSession:
        """Returns the encoded batch; `params` has the parameters of every member."""
        pairs = zip(self.members, params, strict=True)
        return EnsembleSession(tuple(cast(DecoderSession, member.apply(one, source, lengths)) for member, one in pairs))


def mean_log_probability(logits: Sequence[Float[Array, "*r n"]]) -> Float[Array, "*r n"]:
    """Returns the log of the members' mean probability."""
    return jax.nn.logsumexp(jax.nn.log_softmax(jnp.stack(logits)), axis=0) - jnp.log(len(logits))


def mean_weights(weights: Sequence[Float[Array, "*r _"]]) -> Float[Array, "*r s"]:
    """Returns the mean over the members with weights; s is 0 if no member attends."""
    attending = [one for one in weights if one.shape[-1]]
    return sum(attending[1:], attending[0]) / len(attending) if attending else weights[0]
