"""Greedy search, inside jit: at each step the likeliest symbol."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from attn_research import config
from attn_research.data.vocab import BOS, EOS, PAD
from attn_research.decoding.outputs import Outputs, length_limits, writable
from attn_research.models.decoder import DecoderState
from attn_research.models.seq2seq import DecoderSession


class _Loop(NamedTuple):
    t: Int[Array, ""]
    state: DecoderState
    symbols: Int[Array, " b"]
    active: Array
    outputs: Outputs


def greedy(session: DecoderSession, source_size: int, lengths: Int[Array, " b"], decode: config.Decode) -> Outputs:
    """Decodes a batch; a row ends with EOS or after `ratio * its real length + extra` symbols."""
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
