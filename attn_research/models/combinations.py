"""Combinations: compute the attentional vector, which the output layer reads, from context c, state h and symbol y.

`combination(param, context_size, hidden, embedding, **hyper)` returns `(c [... v], h [... h], y [... e]) -> [... n]`.
n is the hyperparameter `size`; if that is None, n is the decoder's hidden size. Here c comes first in [c; h], as in
OpenNMT-py and fairseq. Sockeye, Joey NMT and TensorFlow Addons have [h; c].
"""

import functools
import operator
from collections.abc import Callable
from typing import Annotated, Literal

import jax.numpy as jnp
from flax import linen as nn

from attn_research.annotations import Range, Size
from attn_research.errors import UserError
from attn_research.registry import Registry

# reads: reads the context.
# fed: reads [y; fed], y joined with the vector that input feeding adds to it, in place of y; `embedding` counts both.
combinations = Registry("combination", reads=True, fed=False)


def _affine_sum(param: Callable, sizes: dict[str, int], size: int, bias: str | None) -> Callable:
    """Returns (x_1, x_2, ...) -> x_1 W_1 + x_2 W_2 + ... + b. `sizes` names the matrices; `bias` None means no bias."""
    matrices = [param(name, nn.initializers.glorot_uniform(), (inputs, size)) for name, inputs in sizes.items()]
    b = param(bias, nn.initializers.zeros, (size,)) if bias else None

    def apply(*vectors):
        total = functools.reduce(operator.add, [x @ W for x, W in zip(vectors, matrices, strict=True)])
        return total if b is None else total + jnp.expand_dims(b, range(total.ndim - 1))

    return apply


def _concatenate(*vectors):
    return jnp.concatenate(vectors, -1)


def _output_size(size: int | None, default: int) -> int:
    size = default if size is None else size
    if size < 1:
        raise UserError(f"size of the combination is {size}, but must be at least 1")
    return size


@combinations.register
def tanh(
    param: Callable, context_size: int, hidden: int, embedding: int, size: Size | None = None, bias: bool = False
) -> Callable:
    """tanh(W_c [c; h] + b)   (Luong et al. 2015, eq. 5, without b; Sockeye and Joey NMT have b)."""
    affine = linear(param, context_size, hidden, embedding, size, bias)
    return lambda context, state, symbol: jnp.tanh(affine(context, state, symbol))


@combinations.register
def linear(
    param: Callable, context_size: int, hidden: int, embedding: int, size: Size | None = None, bias: bool = False
) -> Callable:
    """W_c [c; h] + b   (tensorflow/nmt and TensorFlow Addons, under the name of Luong, without b)."""
    size = _output_size(size, hidden)
    affine = _affine_sum(param, {"W_c": context_size + hidden}, size, "b" if bias else None)
    return lambda context, state, symbol: affine(_concatenate(context, state))


@combinations.register(fed=lambda hyper: hyper["fed"])
def gated(
    param: Callable, context_size: int, hidden: int, embedding: int, size: Size | None = None,
    gate: Literal["source", "target", "both"] = "both", symbol: bool = True, attentional: bool = False,
    fed: bool = False,
) -> Callable:  # fmt: skip
    """tanh((1 - z) T + z S), z = sigmoid(W_z [y; h; c] + b_z), S = W_s c + b_s, T = W_t [y; h] + b_t   (Tu et al.
    2017).

    With gate="source": tanh(T + z S). With gate="target": tanh(z T + S). Tu's gates are inside the cell. OpenNMT-py
    has attentional=True, which replaces c by tanh(W_a [c; h]). With input feeding it also has `fed`: the vector that is
    fed is joined to y, as in the input of the cell. Sockeye's gate is "both" with symbol=False, which drops y; its z is
    1 - z here.
    """
    if not context_size:
        raise UserError("combination 'gated' has no effect without attention: there is no context to gate")
    if fed and not symbol:
        raise UserError(
            "fed of combination 'gated' has no effect with symbol=False: the vector that is fed is joined to the symbol"
        )
    size, y = _output_size(size, hidden), embedding if symbol else 0
    inner = tanh(lambda _, *args: param("W_a", *args), context_size, hidden, embedding) if attentional else None
    source_size = hidden if attentional else context_size
    gate_logits = _affine_sum(param, {"W_z": y + hidden + source_size}, size, "b_z")
    source = _affine_sum(param, {"W_s": source_size}, size, "b_s")
    target = _affine_sum(param, {"W_t": y + hidden}, size, "b_t")

    def combine(c, h, y):
        c = inner(c, h, y) if attentional else c
        state_and_symbol = _concatenate(y, h) if symbol else h
        z, S, T = nn.sigmoid(gate_logits(_concatenate(state_and_symbol, c))), source(c), target(state_and_symbol)
        return jnp.tanh({"source": T + z * S, "target": z * T + S, "both": (1 - z) * T + z * S}[gate])

    return combine


@combinations.register
def maxout(
    param: Callable, context_size: int, hidden: int, embedding: int, size: Size | None = None,
    pieces: Annotated[int, Range(minimum=2, maximum=1000)] = 2, bias: bool = False,
) -> Callable:  # fmt: skip
    """max over `pieces` of U_o h + V_o y + C_o c (+ b)   (deep output, Bahdanau et al. 2015, appendix A.2.2).

    `size` is the number of maxima; None means hidden // pieces. Bahdanau's h is the state before the step, as with
    placement before(output="old").
    """
    size = _output_size(size, hidden // pieces)
    affine = _affine_sum(
        param, {"U_o": hidden, "V_o": embedding, "C_o": context_size}, pieces * size, "b" if bias else None
    )

    def combine(context, state, symbol):
        inner = affine(state, symbol, context)
        return inner.reshape(*inner.shape[:-1], size, pieces).max(-1)

    return combine


@combinations.register
def readout(
    param: Callable, context_size: int, hidden: int, embedding: int, size: Size | None = None, bias: bool = False
) -> Callable:
    """tanh(W_e y + W_s h + W_c c + b)   (Nematus and Marian, whose size is that of the symbol vectors).

    Nematus and Marian have a bias on each of the three products; here their sum is one bias.
    """
    size = _output_size(size, hidden)
    affine = _affine_sum(param, {"W_e": embedding, "W_s": hidden, "W_c": context_size}, size, "b" if bias else None)
    return lambda context, state, symbol: jnp.tanh(affine(symbol, state, context))


@combinations.register
def concat(param: Callable, context_size: int, hidden: int, embedding: int, symbol: bool = False) -> Callable:
    """[c; h], or [c; h; y] with `symbol`, without a projection   (ESPnet's context residual)."""
    if not (context_size or symbol):
        raise UserError("combination 'concat' has no effect without attention: it returns the state; set it to none")
    return lambda context, state, y: _concatenate(context, state, y) if symbol else _concatenate(context, state)


@combinations.register(reads=False)
def none(param: Callable, context_size: int, hidden: int, embedding: int) -> Callable:
    """h: the context reaches the output only through the decoder's inputs."""
    return lambda context, state, symbol: state
