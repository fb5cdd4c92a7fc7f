"""Combinations: the attentional vector, which the output layer reads, from context c [... v] and state h [... h]."""

from collections.abc import Callable

import jax.numpy as jnp
from flax import linen as nn

from attn_research.registry import Registry

# reads: whether the context enters at all.
combinations = Registry("combination", reads=True)


def _join(param: Callable, context_size: int, hidden: int) -> Callable:
    W_c = param("W_c", nn.initializers.glorot_uniform(), (context_size + hidden, hidden))
    return lambda context, state: jnp.concatenate([context, state], -1) @ W_c


@combinations.register
def tanh(param: Callable, context_size: int, hidden: int) -> Callable:
    """tanh(W_c [c; h])   (Luong et al. 2015, eq. 5)."""
    join = _join(param, context_size, hidden)
    return lambda context, state: jnp.tanh(join(context, state))


@combinations.register
def linear(param: Callable, context_size: int, hidden: int) -> Callable:
    """W_c [c; h]   (tensorflow/nmt and TensorFlow Addons, under the name of Luong)."""
    return _join(param, context_size, hidden)


@combinations.register(reads=False)
def none(param: Callable, context_size: int, hidden: int) -> Callable:
    """h: the context reaches the output through the decoder's inputs only."""
    return lambda context, state: state
