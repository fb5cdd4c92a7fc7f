"""Search, inside jit: greedy search, and the choice between it and beam search."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from attn_research import config
from attn_research.data.vocab import BOS, EOS, PAD
from attn_research.decoding.beam import beam_search
from attn_research.decoding.outputs import Outputs, length_limits, writable
from attn_research.decoding.penalties import check_penalty
from attn_research.errors import UserError
from attn_research.models.session import DecoderSession


def make_search(decode: config.Decode) -> Callable:
    """Returns `(DecoderSession, padded source size, source lengths [b]) -> Outputs` with `decode.beam` hypotheses.

    Raises:
      UserError: the length penalty is unknown, is not monotonic, or has no effect because the beam is 1.
    """
    check_penalty(decode.length_penalty)
    if decode.beam > 1:
        return partial(beam_search, decode=decode)
    if decode.length_penalty != config.Decode.length_penalty:
        raise UserError(
            f"decode.length_penalty {str(decode.length_penalty)!r} has no effect with decode.beam 1, which compares no "
            "lengths; set decode.beam to 2 or more, or decode.length_penalty to none"
        )
    return lambda session, source_size, lengths: greedy_search(session, source_size, lengths, decode).as_n_best()


class _Loop(NamedTuple):
    """The carry of greedy search."""

    t: Int[Array, ""]
    state: Any  # of the session
    symbols: Int[Array, " b"]
    active: Array
    outputs: Outputs


def greedy_search(
    session: DecoderSession, source_size: int, lengths: Int[Array, " b"], decode: config.Decode
) -> Outputs:
    """Decodes a batch with the likeliest symbol at each step.

    A row ends with EOS or after `decode.ratio * length + decode.extra` symbols.
    """
    by_length = length_limits(decode, source_size)
    limits = jnp.asarray(by_length)[lengths]

    def advance(loop: _Loop) -> _Loop:
        state, logits, weights = session.step(loop.state, loop.symbols)
        symbols = jnp.where(loop.active, jnp.argmax(writable(logits), -1), PAD)
        symbol_log_p = jnp.take_along_axis(jax.nn.log_softmax(logits), symbols[:, None], -1)[:, 0]
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
    empty = Outputs(
        symbols=jnp.full((steps, len(lengths)), PAD, lengths.dtype),
        weights=jnp.zeros((steps, *weights.shape), weights.dtype),
        lengths=jnp.zeros_like(lengths),
        log_probability=jnp.zeros(len(lengths)),
        score=jnp.zeros(len(lengths)),
    )
    loop = _Loop(jnp.zeros((), jnp.int32), session.start, first, limits > 0, empty)
    return jax.lax.while_loop(lambda loop: loop.active.any(), advance, loop).outputs
