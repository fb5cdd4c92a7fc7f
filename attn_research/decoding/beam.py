"""Beam search, inside jit: K hypotheses of every source go on side by side.

In each step, of all continuations of the K hypotheses, those among the best K that end (with EOS, or at the row's
limit) are kept aside, and the best K that do not end go on; so a beam of 1 is greedy search. Nothing that depends on
the source alone is copied: the step is mapped over a leading axis of the state, and only the state is reordered. The
first step stands before the loop, because it has one hypothesis to go on with.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from attn_research import config
from attn_research.data.vocab import BOS, EOS, PAD
from attn_research.decoding.outputs import Outputs, length_limits, writable
from attn_research.decoding.penalties import penalties
from attn_research.decoding.top_k import top_k
from attn_research.models.decoder import State
from attn_research.models.seq2seq import Translating


class _Kept(NamedTuple):
    """The best hypotheses that have ended, best first; a score of -inf marks an empty place."""

    score: Float[Array, "K b"]
    log_probability: Float[Array, "K b"]
    lengths: Int[Array, "K b"]  # EOS counted
    parents: Int[Array, "K b"]  # which hypothesis the last symbol was put to
    symbols: Int[Array, "K b"]  # the last one


class _Trail(NamedTuple):
    """What every step did, from which whole hypotheses are read at the end."""

    symbols: Int[Array, "T K b"]  # that a hypothesis got in this step
    parents: Int[Array, "T K b"]  # the place that it had before
    weights: Float[Array, "T K b s"]  # of the places before


class _Continuations(NamedTuple):
    """The best 2 K hypotheses with a symbol more, the likeliest first."""

    log_probability: Float[Array, "n b"]
    parents: Int[Array, "n b"]
    symbols: Int[Array, "n b"]


class _Beam(NamedTuple):
    t: Int[Array, ""]
    state: State  # each leaf with a leading k, which is 1 before the first step and then K
    symbols: Int[Array, "k b"]  # the last one of each hypothesis
    log_probability: Float[Array, "k b"]  # -inf marks an empty place
    kept: _Kept
    trail: _Trail


def beam_search(
    translating: Translating, source_size: int, lengths: Int[Array, " b"], decode: config.Decode
) -> Outputs:
    """The `decode.beam` best outputs of every row; one ends with EOS or after `ratio * real length + extra` symbols."""
    by_length = length_limits(decode, source_size)
    limits = jnp.asarray(by_length)[lengths]
    step, score = jax.vmap(translating.step), penalties.bind(decode.length_penalty)

    def advance(beam: _Beam) -> _Beam:
        state, logits, weights = step(beam.state, beam.symbols)
        found = _continuations(beam.log_probability, logits, 2 * decode.beam)
        ends = (found.symbols == EOS) | (beam.t + 1 >= limits)[None]
        kept = _keep(beam.kept, found, ends, beam.t + 1, score)
        going = jnp.where(ends, -jnp.inf, found.log_probability)
        chosen = _pick(found._replace(log_probability=going), _best(going, decode.beam))
        hopeful = _hopeful(chosen.log_probability, kept.score[-1], beam.t + 2, limits, score)
        log_probability = jnp.where(hopeful[None], chosen.log_probability, -jnp.inf)
        done = _Trail(chosen.symbols, chosen.parents, weights)
        trail = jax.tree.map(lambda all_steps, one: all_steps.at[beam.t].set(one), beam.trail, done)
        return _Beam(beam.t + 1, _pick(state, chosen.parents), chosen.symbols, log_probability, kept, trail)

    first = advance(_start(translating, limits, decode.beam, max(1, int(by_length[-1]))))
    beam = jax.lax.while_loop(lambda beam: (beam.log_probability > -jnp.inf).any(), advance, first)
    return _read(beam.kept, beam.trail)


def _start(translating: Translating, limits: Int[Array, " b"], width: int, steps: int) -> _Beam:
    """One hypothesis, and `width` empty places for those that end."""
    one, size = (1, len(limits)), (width, len(limits))
    first, nothing, zero = jnp.full(one, BOS, jnp.int32), jnp.full(size, -jnp.inf), jnp.zeros(size, jnp.int32)
    empty = nothing.at[0].set(jnp.where(limits > 0, -jnp.inf, 0))  # with no room for a symbol, the empty output is it
    state = jax.tree.map(lambda leaf: leaf[None], translating.start)
    weights = jax.eval_shape(jax.vmap(translating.step), state, first)[2]
    trail = [jnp.zeros((steps, width, *like.shape[1:]), like.dtype) for like in (zero, zero, weights)]
    log_probability = jnp.where(limits > 0, 0, -jnp.inf)[None]
    kept = _Kept(empty, empty, zero, zero, zero)
    return _Beam(jnp.zeros((), jnp.int32), state, first, log_probability, kept, _Trail(*trail))


def _best(values: Float[Array, "n b"], k: int) -> Int[Array, "k b"]:
    """Where each row's k largest stand, the largest first, equals in their order."""
    return jax.lax.top_k(values.T, k)[1].T


def _pick(tree: Any, places: Int[Array, "k b"]) -> Any:
    """The given places of every row, in each leaf [n b ...]; a leaf without rows is the same in all places."""
    rows = jnp.arange(places.shape[1])[None]
    return jax.tree.map(lambda leaf: leaf[places, rows] if leaf.ndim > 1 else jnp.full(len(places), leaf[0]), tree)


def _continuations(log_probability: Float[Array, "k b"], logits: Float[Array, "k b n"], number: int) -> _Continuations:
    """The best `number` of each row, of which half at most are EOS: the best of each hypothesis, then those of all."""
    n = logits.shape[-1]
    best, symbols = top_k(writable(logits), min(number, n))
    total = best + (log_probability - jax.nn.logsumexp(logits, -1))[..., None]
    few = [(0, 0), (0, 0), (0, max(0, number - n))]  # with so few symbols, one hypothesis has too few continuations
    total, symbols = jnp.pad(total, few, constant_values=-jnp.inf), jnp.pad(symbols, few)
    parents = jnp.broadcast_to(jnp.arange(len(total), dtype=jnp.int32)[:, None, None], total.shape)
    merge = lambda x: jnp.moveaxis(x, 2, 1).reshape(-1, x.shape[1])  # noqa: E731
    found = _Continuations(merge(total), merge(parents), merge(symbols))
    return _pick(found, _best(found.log_probability, number))


def _keep(kept: _Kept, found: _Continuations, ends: Bool[Array, "n b"], length: Array, score: Callable) -> _Kept:
    """`kept` with those of the best K continuations that end."""
    width = len(kept.score)
    log_probability, parents, symbols = (field[:width] for field in found)
    scores = jnp.where(ends[:width], score(log_probability, length), -jnp.inf)
    ended = _Kept(scores, log_probability, jnp.full_like(parents, length), parents, symbols)
    both = jax.tree.map(lambda *two: jnp.concatenate(two), kept, ended)
    return _pick(both, _best(both.score, width))


def _hopeful(
    log_probability: Float[Array, "K b"], worst: Float[Array, " b"], length: Array, limits: Array, score: Callable
) -> Bool[Array, " b"]:
    """Whether a row has a hypothesis that can come to a score above the worst kept one.

    Its log probability can only fall, and the score moves with the length in one direction: the highest that it can
    reach is that of its present log probability at the next `length` or at the limit.
    """
    highest = jnp.maximum(score(log_probability, length), score(log_probability, limits[None]))
    return (highest > worst[None]).any(0)


def _read(kept: _Kept, trail: _Trail) -> Outputs:
    """The kept hypotheses, each followed back from its last symbol through the places that it had."""

    def back(places, step):
        t, done = step
        last, inside = t == kept.lengths - 1, t < kept.lengths
        symbols = jnp.where(last, kept.symbols, _pick(done.symbols, places))
        parents = jnp.where(last, kept.parents, _pick(done.parents, places))
        weights = _pick(done.weights, parents) * inside[..., None]
        return parents, (jnp.where(inside, symbols, PAD), weights)

    steps = jnp.arange(len(trail.symbols)), trail
    symbols, weights = jax.lax.scan(back, jnp.zeros_like(kept.parents), steps, reverse=True)[1]
    return Outputs(symbols, weights, kept.lengths, kept.log_probability, kept.score)
