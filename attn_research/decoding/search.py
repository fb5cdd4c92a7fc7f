"""Search, inside jit: greedy search, sampling, and the choice between them and beam search."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from attn_research import config
from attn_research.data.vocab import BOS, EOS, PAD
from attn_research.decoding.beam import beam_search
from attn_research.decoding.limits import HypothesisState, make_step, start_state
from attn_research.decoding.outputs import Outputs, length_limits
from attn_research.decoding.penalties import check_penalty
from attn_research.decoding.sampling import samplings
from attn_research.errors import UserError
from attn_research.models.session import Session
from attn_research.registry import Spec


def make_search(decode: config.Decode, samples: int = 1) -> Callable:
    """Returns `(Session, padded source size, source lengths [b], items [b]) -> Outputs`.

    The outputs are `decode.beam` hypotheses, or the samples of `decode.sampling`.

    Args:
      samples: samples per source. `items` are the numbers that distinguish the sources for sampling.

    Raises:
      UserError: the length penalty is unknown or is not monotonic, the sampling is unknown, or a field of `decode` has
        no effect.
    """
    check_penalty(decode.length_penalty)
    _check_lengths(decode)
    if decode.beam > 1:
        _check_beam(decode)
        return lambda session, source_size, lengths, items: beam_search(session, source_size, lengths, decode)
    _check_greedy(decode)
    if decode.sampling is not None:
        return make_sampling(decode, decode.sampling, samples)

    def search(session: Session, source_size: int, lengths: Int[Array, " b"], items: Int[Array, " b"]):
        return greedy_search(session, source_size, lengths, decode).as_n_best()

    return search


def make_sampling(decode: config.Decode, spec: Spec, samples: int) -> Callable:
    """Returns a search, as `make_search` does, that draws every symbol: its outputs are `samples` independent ones."""
    sampling = samplings.bind(spec)

    def search(session: Session, source_size: int, lengths: Int[Array, " b"], items: Int[Array, " b"]) -> Outputs:
        def draw(number):
            choose = lambda choices, t: sampling(choices, items, number, t)  # noqa: E731
            return greedy_search(session, source_size, lengths, decode, choose)

        axes: Any = {"symbols": 1, "weights": 1, "lengths": 0, "log_probability": 0, "score": 0}
        return jax.vmap(draw, out_axes=Outputs(**axes))(jnp.arange(samples))

    return search


def _check_beam(decode: config.Decode) -> None:
    if decode.sampling is not None:
        raise UserError(
            f"decode.sampling {str(decode.sampling)!r} draws samples, which decode.beam {decode.beam} does not rank; "
            "set decode.beam to 1"
        )


def _check_greedy(decode: config.Decode) -> None:
    if decode.length_penalty != config.Decode.length_penalty:
        raise UserError(
            f"decode.length_penalty {str(decode.length_penalty)!r} has no effect with decode.beam 1, which compares no "
            "lengths; set decode.beam to 2 or more, or decode.length_penalty to none"
        )
    if decode.coverage_penalty:
        raise UserError(
            f"decode.coverage_penalty {decode.coverage_penalty} has no effect with decode.beam 1, which compares no "
            "outputs; set decode.beam to 2 or more, or decode.coverage_penalty to 0.0"
        )


def _check_lengths(decode: config.Decode) -> None:
    if decode.max_length is not None and decode.min_length >= decode.max_length:
        raise UserError(
            f"decode.min_length {decode.min_length} leaves no room for EOS in decode.max_length {decode.max_length}; "
            f"set decode.max_length to {decode.min_length + 1} or more"
        )


class _Loop(NamedTuple):
    """The carry of greedy search."""

    t: Int[Array, ""]
    state: HypothesisState
    symbols: Int[Array, " b"]
    active: Array
    outputs: Outputs


def likeliest(choices: Float[Array, "b n"], t: Int[Array, ""]) -> Int[Array, " b"]:
    """Returns the symbol with the largest logit."""
    return jnp.argmax(choices, -1)


def _select(values: Float[Array, "b n"], symbols: Int[Array, " b"]) -> Float[Array, " b"]:
    """Returns the value of one symbol per row."""
    return jnp.take_along_axis(values, symbols[:, None], -1)[:, 0]


def _empty_outputs(steps: int, lengths: Int[Array, " b"], weights: jax.ShapeDtypeStruct) -> Outputs:
    """Returns the outputs before the first step; `weights` are those of a step."""
    return Outputs(
        symbols=jnp.full((steps, len(lengths)), PAD, lengths.dtype),
        weights=jnp.zeros((steps, *weights.shape), weights.dtype),
        lengths=jnp.zeros_like(lengths),
        log_probability=jnp.zeros(len(lengths)),
        score=jnp.zeros(len(lengths)),
    )


def greedy_search(
    session: Session,
    source_size: int,
    lengths: Int[Array, " b"],
    decode: config.Decode,
    choose: Callable = likeliest,
) -> Outputs:
    """Decodes a batch with one symbol at each step, the likeliest one.

    A row ends with EOS or at its length limit. If no symbol is possible, because all have the probability 0 or are
    forbidden, it ends with EOS and the probability 0.

    Args:
      choose: `(choices [b n], t) -> symbols [b]`, in place of the likeliest.
    """
    by_length = length_limits(decode, source_size)
    limits, step = jnp.asarray(by_length)[lengths], make_step(session, decode)

    def advance(loop: _Loop) -> _Loop:
        state, logits, choices, weights = step(loop.state, loop.symbols, loop.t)
        chosen = choose(choices, loop.t)
        possible = jnp.where(_select(choices, chosen) > -jnp.inf, chosen, EOS)
        symbols = jnp.where(loop.active, possible, PAD)
        symbol_log_p = _select(jax.nn.log_softmax(logits), symbols)
        log_probability = loop.outputs.log_probability + jnp.where(loop.active, symbol_log_p, 0)
        outputs = Outputs(
            loop.outputs.symbols.at[loop.t].set(symbols),
            loop.outputs.weights.at[loop.t].set(weights * loop.active[:, None]),
            loop.outputs.lengths + loop.active,
            log_probability,
            log_probability,
        )
        active = loop.active & (symbols != EOS) & (loop.t + 1 < limits)
        return _Loop(loop.t + 1, state, symbols, active, outputs)

    first = jnp.full_like(lengths, BOS)
    weights, steps = jax.eval_shape(session.step, session.start, first)[2], max(1, int(by_length[-1]))
    state = start_state(session, decode, first, steps)
    loop = _Loop(jnp.zeros((), jnp.int32), state, first, limits > 0, _empty_outputs(steps, lengths, weights))
    return jax.lax.while_loop(lambda loop: loop.active.any(), advance, loop).outputs
