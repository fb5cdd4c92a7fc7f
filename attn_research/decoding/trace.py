"""Traces of attention along given outputs, inside jit: queries, scores before normalizing and weights of every head."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from attn_research.attention.bound import BoundAttention
from attn_research.models.session import DecoderSession, shift_right


class Trace(NamedTuple):
    """What every step computes, time first."""

    query: Float[Array, "t b q"]
    scores: Float[Array, "t h b s"]
    weights: Float[Array, "t h b s"]
    log_probability: Float[Array, "t b n"]  # of every target symbol


@dataclasses.dataclass(frozen=True, eq=False)
class TracedAttention(BoundAttention):
    """Attention that returns query, scores and weights of all heads in place of their mean weights."""

    def step(self, query: Float[Array, "b q"], histories: tuple) -> tuple:
        inputs = list(zip(self.heads, self.split_query(query), histories, strict=True))
        scores = [head.score(part, history) for head, part, history in inputs]
        contexts, weights, histories = zip(*(head.step(part, history) for head, part, history in inputs), strict=True)
        context, _ = self.join(query, contexts, weights)
        return context, (query, jnp.stack(scores), jnp.stack(weights)), histories


def trace(session: DecoderSession, target: Int[Array, "b t"]) -> Trace:
    """Returns the trace of a session with attention and without a latent. Step t reads symbol t - 1 of `target`."""
    decoder = session.decoder
    traced = dataclasses.replace(decoder, attention=TracedAttention(**vars(decoder.attention)))

    def step(state, symbols):
        state, (vector, (query, scores, weights)) = traced.step(state, session.embed(symbols))
        logits = session.normalizer.logits(session.output(vector))
        return state, Trace(query, scores, weights, jax.nn.log_softmax(logits))

    return jax.lax.scan(step, session.start, shift_right(target))[1]
