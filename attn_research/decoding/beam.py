"""Beam search, inside jit: follows K hypotheses of every source at once.

Each step ranks all continuations of the K hypotheses. Those among the best K that end, with EOS or at the row's length
limit, join the finished hypotheses. The best K that do not end go on. A beam of 1 is therefore greedy search.

The step is mapped over a leading axis of the decoder's state, so the arrays of the source are not copied; only the
state is reordered. The first step is outside the loop because it has one hypothesis to continue.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from attn_research import config
from attn_research.data.vocab import BOS, EOS, PAD
from attn_research.decoding.limits import HypothesisState, make_step, start_state
from attn_research.decoding.outputs import Outputs, length_limits
from attn_research.decoding.penalties import coverage_penalty, penalties
from attn_research.models.session import Session
from attn_research.registry import Bound

BLOCK = 100  # symbols in a block of `top_k`


class _Finished(NamedTuple):
    """The best hypotheses that have ended, the best first. A score of -inf marks an empty slot."""

    score: Float[Array, "K b"]
    log_probability: Float[Array, "K b"]
    lengths: Int[Array, "K b"]  # EOS counted
    parents: Int[Array, "K b"]  # the hypothesis that the last symbol continues
    symbols: Int[Array, "K b"]  # the last one


class _Backpointers(NamedTuple):
    """The choices of every step, from which whole hypotheses are read at the end."""

    symbols: Int[Array, "T K b"]  # the symbol that a hypothesis got in this step
    parents: Int[Array, "T K b"]  # its slot before this step
    weights: Float[Array, "T K b s"]  # by slot before this step


class _Continuations(NamedTuple):
    """The best 2 K continuations of the hypotheses by one symbol, the likeliest first."""

    log_probability: Float[Array, "n b"]
    parents: Int[Array, "n b"]
    symbols: Int[Array, "n b"]


class _Beam(NamedTuple):
    """The carry of the search."""

    t: Int[Array, ""]
    state: HypothesisState  # each leaf with a leading k, which is 1 before the first step and then K
    symbols: Int[Array, "k b"]  # the last one of each hypothesis
    log_probability: Float[Array, "k b"]  # -inf marks an empty slot
    finished: _Finished
    backpointers: _Backpointers


def beam_search(session: Session, source_size: int, lengths: Int[Array, " b"], decode: config.Decode) -> Outputs:
    """Returns the `decode.beam` best outputs of every row.

    An output ends with EOS or at the length limit of its row.
    """
    by_length = length_limits(decode, source_size)
    limits = jnp.asarray(by_length)[lengths]
    step, score = jax.vmap(make_step(session, decode), (0, 0, None)), penalties.bind(decode.length_penalty)

    def advance(beam: _Beam) -> _Beam:
        state, logits, choices, weights = step(beam.state, beam.symbols, beam.t)
        candidates = _continuations(beam.log_probability, logits, choices, 2 * decode.beam)
        ends = (candidates.symbols == EOS) | (beam.t + 1 >= limits)[None]
        scores = score(candidates.log_probability, beam.t + 1)
        if state.coverage is not None:  # at most 0, so `_can_improve` may leave it out
            bonus = coverage_penalty(state.coverage, lengths, decode.coverage_penalty)
            scores += _gather(bonus, candidates.parents)
        finished = _add_finished(beam.finished, candidates, ends, beam.t + 1, scores)
        alive = jnp.where(ends, -jnp.inf, candidates.log_probability)
        selected = _gather(candidates._replace(log_probability=alive), _top_indices(alive, decode.beam))
        can_improve = _can_improve(selected.log_probability, finished.score[-1], beam.t + 2, limits, score)
        log_probability = jnp.where(can_improve[None], selected.log_probability, -jnp.inf)
        step_pointers = _Backpointers(selected.symbols, selected.parents, weights)
        backpointers = jax.tree.map(
            lambda all_steps, one: all_steps.at[beam.t].set(one), beam.backpointers, step_pointers
        )
        return _Beam(
            beam.t + 1, _gather(state, selected.parents), selected.symbols, log_probability, finished, backpointers
        )

    first = advance(_initial_beam(session, decode, limits, max(1, int(by_length[-1]))))
    beam = jax.lax.while_loop(lambda beam: (beam.log_probability > -jnp.inf).any(), advance, first)
    return _backtrack(beam.finished, beam.backpointers)


def _initial_beam(session: Session, decode: config.Decode, limits: Int[Array, " b"], steps: int) -> _Beam:
    """Returns one empty hypothesis per row, and `decode.beam` empty slots for finished ones."""
    width, one, size = decode.beam, (1, len(limits)), (decode.beam, len(limits))
    first, neg_inf, zero = jnp.full(one, BOS, jnp.int32), jnp.full(size, -jnp.inf), jnp.zeros(size, jnp.int32)
    empty = neg_inf.at[0].set(jnp.where(limits > 0, -jnp.inf, 0))  # a limit of 0 allows the empty output alone
    state = jax.tree.map(lambda leaf: leaf[None], start_state(session, decode, first[0], steps))
    weights = jax.eval_shape(jax.vmap(session.step), state.session, first)[2]
    backpointers = [jnp.zeros((steps, width, *like.shape[1:]), like.dtype) for like in (zero, zero, weights)]
    log_probability = jnp.where(limits > 0, 0, -jnp.inf)[None]
    finished = _Finished(empty, empty, zero, zero, zero)
    return _Beam(jnp.zeros((), jnp.int32), state, first, log_probability, finished, _Backpointers(*backpointers))


def _top_indices(values: Float[Array, "n b"], k: int) -> Int[Array, "k b"]:
    """Returns the indices of each row's k largest values, the largest first; equal values keep their order."""
    return jax.lax.top_k(values.T, k)[1].T


def _gather(tree: Any, indices: Int[Array, "k b"]) -> Any:
    """Gathers the slots `indices` of every row from each leaf [n b ...]. A leaf without rows is equal in all slots."""
    rows = jnp.arange(indices.shape[1])[None]
    return jax.tree.map(lambda leaf: leaf[indices, rows] if leaf.ndim > 1 else jnp.full(len(indices), leaf[0]), tree)


def _continuations(
    log_probability: Float[Array, "k b"], logits: Float[Array, "k b n"], choices: Float[Array, "k b n"], number: int
) -> _Continuations:
    """Returns the `number` best continuations of each row: first the best of each hypothesis, then the best of these.

    A hypothesis ends with EOS in one way, so with `number` = 2 K at least K continuations do not end. One with the
    probability 0 has the log probability -inf, as an empty slot has, so it is not followed.
    """
    n = logits.shape[-1]
    best, symbols = top_k(choices, min(number, n))
    total = best + (log_probability - jax.nn.logsumexp(logits, -1))[..., None]
    padding = [(0, 0), (0, 0), (0, max(0, number - n))]  # for a vocabulary smaller than `number`
    total, symbols = jnp.pad(total, padding, constant_values=-jnp.inf), jnp.pad(symbols, padding)
    parents = jnp.broadcast_to(jnp.arange(len(total), dtype=jnp.int32)[:, None, None], total.shape)
    merge = lambda x: jnp.moveaxis(x, 2, 1).reshape(-1, x.shape[1])  # noqa: E731
    candidates = _Continuations(merge(total), merge(parents), merge(symbols))
    return _gather(candidates, _top_indices(candidates.log_probability, number))


def top_k(values: Float[Array, "*r n"], k: int) -> tuple[Float[Array, "*r k"], Int[Array, "*r k"]]:
    """Returns the k largest values of each row and their indices, like `jax.lax.top_k`.

    These values are in the k blocks with the largest maxima, so only these blocks are sorted. That takes half the time
    on 8,000 symbols.
    """
    n = values.shape[-1]
    if n <= k * BLOCK:
        largest, indices = jax.lax.top_k(values, k)
        return largest, indices
    ends = [(0, 0)] * (values.ndim - 1) + [(0, -n % BLOCK)]
    blocks = jnp.pad(values, ends, constant_values=-jnp.inf).reshape(*values.shape[:-1], -1, BLOCK)
    best = jnp.sort(jax.lax.top_k(blocks.max(-1), k)[1])
    inside = jnp.take_along_axis(blocks, best[..., None], -2).reshape(*values.shape[:-1], k * BLOCK)
    largest, indices = jax.lax.top_k(inside, k)
    return largest, jnp.take_along_axis(best, indices // BLOCK, -1) * BLOCK + indices % BLOCK


def _add_finished(
    finished: _Finished,
    candidates: _Continuations,
    ends: Bool[Array, "n b"],
    length: Array,
    scores: Float[Array, "n b"],
) -> _Finished:
    """Returns the best K of `finished` and of those best K continuations that end."""
    width = len(finished.score)
    log_probability, parents, symbols = (field[:width] for field in candidates)
    scores = jnp.where(ends[:width], scores[:width], -jnp.inf)
    newly_finished = _Finished(scores, log_probability, jnp.full_like(parents, length), parents, symbols)
    both = jax.tree.map(lambda *two: jnp.concatenate(two), finished, newly_finished)
    return _gather(both, _top_indices(both.score, width))


def _can_improve(
    log_probability: Float[Array, "K b"], worst: Float[Array, " b"], length: Array, limits: Array, score: Bound
) -> Bool[Array, " b"]:
    """Whether a row has a hypothesis that can reach a higher score than the worst finished one.

    A log probability only falls, and the score is monotonic in the length. So the highest score that a hypothesis can
    reach is that of its present log probability at the next `length` or at the limit.
    """
    highest = jnp.maximum(score(log_probability, length), score(log_probability, limits[None]))
    return (highest > worst[None]).any(0)


def _backtrack(finished: _Finished, backpointers: _Backpointers) -> Outputs:
    """Returns the finished hypotheses, each traced back from its last symbol."""

    def trace_back(indices, step):
        t, step_pointers = step
        last, inside = t == finished.lengths - 1, t < finished.lengths
        symbols = jnp.where(last, finished.symbols, _gather(step_pointers.symbols, indices))
        parents = jnp.where(last, finished.parents, _gather(step_pointers.parents, indices))
        weights = _gather(step_pointers.weights, parents) * inside[..., None]
        return parents, (jnp.where(inside, symbols, PAD), weights)

    steps = jnp.arange(len(backpointers.symbols)), backpointers
    symbols, weights = jax.lax.scan(trace_back, jnp.zeros_like(finished.parents), steps, reverse=True)[1]
    return Outputs(symbols, weights, finished.lengths, finished.log_probability, finished.score)
