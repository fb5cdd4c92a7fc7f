"""Recurrent cells: functions of their sizes that return one step, `(state, x [b i]) -> state`.

A state is a tuple of [b h] arrays; its last array is the output.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn

from attn_research.registry import Registry

# parts: the number of arrays in a state.
cells = Registry("cell", parts=1)


def uniform_init(hidden: int) -> Callable:
    """Returns an initializer U(-1/sqrt(h), 1/sqrt(h)), for the weights and biases of a cell."""
    bound = hidden**-0.5
    return lambda key, shape, dtype=float: jax.random.uniform(key, shape, dtype, -bound, bound)


@cells.register
def rnn(param: Callable, input_size: int, hidden: int) -> Callable:
    """h' = tanh([x; h] W + b)   (Elman 1990)."""
    W, b = param("W", uniform_init(hidden), (input_size + hidden, hidden)), param("b", uniform_init(hidden), (hidden,))
    return lambda state, x: (jnp.tanh(jnp.concatenate([x, *state], -1) @ W + b[None]),)


@cells.register
def gru(param: Callable, input_size: int, hidden: int) -> Callable:
    """r, z = sigmoid([x; h] W + b); n = tanh(x W_n + b_n + r * (h U_n + c_n)); h' = (1 - z) n + z h.

    Cho et al. 2014, with the reset gate after the product, as in cuDNN.
    """
    init = uniform_init(hidden)
    W, b = param("W", init, (input_size + hidden, 2 * hidden)), param("b", init, (2 * hidden,))
    W_n, b_n = param("W_n", init, (input_size, hidden)), param("b_n", init, (hidden,))
    U_n, c_n = param("U_n", init, (hidden, hidden)), param("c_n", init, (hidden,))

    def step(state, x):
        (h,) = state
        r, z = jnp.split(nn.sigmoid(jnp.concatenate([x, h], -1) @ W + b[None]), 2, -1)
        n = jnp.tanh(x @ W_n + b_n[None] + r * (h @ U_n + c_n[None]))
        return ((1 - z) * n + z * h,)

    return step


@cells.register(parts=2)
def lstm(param: Callable, input_size: int, hidden: int) -> Callable:
    """i, f, g, o = [x; h] W + b; c' = sigmoid(f) c + sigmoid(i) tanh(g); h' = sigmoid(o) tanh(c').

    Hochreiter & Schmidhuber 1997 with the forget gate of Gers et al. 2000, whose bias starts 1 higher than the others.
    """
    W = param("W", uniform_init(hidden), (input_size + hidden, 4 * hidden))
    b = param("b", uniform_init(hidden), (4 * hidden,))
    b = b + jnp.repeat(jnp.array([0.0, 1.0, 0.0, 0.0]), hidden)

    def step(state, x):
        c, h = state
        i, f, g, o = jnp.split(jnp.concatenate([x, h], -1) @ W + b[None], 4, -1)
        c = nn.sigmoid(f) * c + nn.sigmoid(i) * jnp.tanh(g)
        return c, nn.sigmoid(o) * jnp.tanh(c)

    return step
