"""Combinations: the attentional vector, which the output layer reads, from context c, state h and symbol vector y.

`combination(param, context_size, hidden, embedding, **hyper)` returns `(c [... v], h [... h], y [... e]) -> [... n]`;
n is `size` where there is such a hyperparameter, and the decoder's hidden size where that is None.
Here c comes first in [c; h] (as in OpenNMT-py and fairseq; Sockeye, Joey NMT and TensorFlow Addons have [h; c]).
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

# reads: whether the context enters at all; fed: whether y comes joined with what input feeding adds to it, [y; fed],
# and counts so in `embedding`.
combinations = Registry("combination", reads=True, fed=False)


def _affine_sum(param: Callable, sizes: dict[str, int], size: int, bias: str | None) -> Callable:
    """(x_1, x_2, ...) -> x_1 W_1 + x_2 W_2 + ... + b, with the names of the matrices and of the bias (None: none)."""
    matrices = [param(name, nn.initializers.glorot_uniform(), (inputs, size)) for name, inputs in sizes.items()]
    b = param(bias, nn.initializers.zeros, (size,)) if bias else None

    def apply(*vectors):
        total = functools.reduce(operator.add, [x @ W for x, W in zip(vectors, matrices, strict=True)])
        return total if b is None else total + jnp.expand_dims(b, range(total.ndim - 1))

    return apply


def _concatenate(*vectors):
    return jnp.concatenate(vectors, -1)


def _size(size: int | None, default: int) -> int:
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
    size = _size(size, hidden)
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

    gate "source": tanh(T + z S); "target": tanh(z T + S). Tu's gates stand inside the cell. OpenNMT-py has
    attentional=True, where tanh(W_a [c; h]) stands for c, and under input feeding `fed`: what is fed is joined to y, as
    it is in the cell's input. Sockeye's gate is `both` with symbol=False, without y; its z is 1 - z here.
    """
    if not context_size:
        raise UserError("combination 'gated' has no effect without attention: there is no context to gate")
    if fed and not symbol:
        raise UserError("fed of combination 'gated' has no effect with symbol=False: what is fed would be joined to it")
    size, y = _size(size, hidden), embedding if symbol else 0
    inner = tanh(lambda _, *args: param("W_a", *args), context_size, hidden, embedding) if attentional else None
    source_size = hidden if attentional else context_size
    gate_logits = _affine_sum(param, {"W_z": y + hidden + source_size}, size, "b_z")
    source, target = (
        _affine_sum(param, {"W_s": source_size}, size, "b_s"),
        _affine_sum(param, {"W_t": y + hidden}, size, "b_t"),
    )

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

    `size` counts the maxima; None: as many as make hidden = pieces * size. Bahdanau's h is the state before the step:
    placement before(output="old").
    """
    size = _size(size, hidden // pieces)
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

    Their bias on each of the three is one here.
    """
    size = _size(size, hidden)
    affine = _affine_sum(param, {"W_e": embedding, "W_s": hidden, "W_c": context_size}, size, "b" if bias else None)
    return lambda context, state, symbol: jnp.tanh(affine(symbol, state, context))


@combinations.register
def concat(param: Callable, context_size: int, hidden: int, embedding: int, symbol: bool = False) -> Callable:
    """[c; h], with `symbol` [c; h; y]: the output layer reads them as they are   (ESPnet's context residual)."""
    if not (context_size or symbol):
        raise UserError("combination 'concat' has no effect without attention: it is the state alone; set it to none")
    return lambda context, state, y: _concatenate(context, state, y) if symbol else _concatenate(context, state)


@combinations.register(reads=False)
def none(param: Callable, context_size: int, hidden: int, embedding: int) -> Callable:
    """h: the context reaches the output through the decoder's inputs only."""
    return lambda context, state, symbol: state
