"""Greedy search, inside jit: at each step the likeliest symbol."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from attn_research import config
from attn_research.data.vocab import BOS, EOS, PAD
from attn_research.models.decoder import State
from attn_research.models.seq2seq import Translating


class Outputs(NamedTuple):
    """What was decoded, a row a source; T is the most steps that any source of the padded length may take."""

    symbols: Int[Array, "T b"]  # PAD after the end
    weights: Float[Array, "T b s"]  # attention; zero after the end
    lengths: Int[Array, " b"]  # EOS counted
    log_probability: Float[Array, " b"]  # of the whole output, in nats


class _Loop(NamedTuple):
    t: Int[Array, ""]
    state: State
    symbols: Int[Array, " b"]
    active: Array
    outputs: Outputs


def greedy(translating: Translating, source_size: int, lengths: Int[Array, " b"], decode: config.Decode) -> Outputs:
    """Decodes a batch; a row ends with EOS or after `ratio * its real length + extra` symbols."""
    limits = jnp.where(lengths > 0, jnp.floor(decode.ratio * lengths + decode.extra).astype(jnp.int32), 0)
    most = int(decode.ratio * source_size + decode.extra)

    def advance(loop: _Loop) -> _Loop:
        state, logits, weights = translating.step(loop.state, loop.symbols)
        symbols = jnp.where(loop.active, jnp.argmax(logits, -1), PAD)
        chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), symbols[:, None], -1)[:, 0]
        outputs = Outputs(
            loop.outputs.symbols.at[loop.t].set(symbols),
            loop.outputs.weights.at[loop.t].set(weights * loop.active[:, None]),
            loop.outputs.lengths + loop.active,
            loop.outputs.log_probability + jnp.where(loop.active, chosen, 0),
        )
        active = loop.active & (symbols != EOS) & (loop.t + 1 < limits)
        return _Loop(loop.t + 1, state, symbols, active, outputs)

    first = jnp.full_like(lengths, BOS)
    weights = jax.eval_shape(translating.step, translating.start, first)[2]
    empty = Outputs(
        symbols=jnp.full((most, len(lengths)), PAD, lengths.dtype),
        weights=jnp.zeros((most, *weights.shape), weights.dtype),
        lengths=jnp.zeros_like(lengths),
        log_probability=jnp.zeros(len(lengths)),
    )
    loop = _Loop(jnp.zeros((), jnp.int32), translating.start, first, limits > 0, empty)
    return jax.lax.while_loop(lambda loop: loop.active.any(), advance, loop).outputs
