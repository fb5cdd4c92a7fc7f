"""Bridges: the decoder's first state from the encoder's last one.

`bridge(param, last, layers, parts, hidden)`: `last` has a tuple of [b h] arrays a layer; the result has `layers`
tuples of `parts` arrays [b hidden].
"""

from collections.abc import Callable

import jax.numpy as jnp
from flax import linen as nn

from attn_research.registry import Registry

# informs: whether the decoder learns anything of the source by it.
bridges = Registry("bridge", informs=True)


@bridges.register(informs=False)
def zero(param: Callable, last: list, layers: int, parts: int, hidden: int) -> tuple:
    """s_0 = 0."""
    return ((jnp.zeros((len(last[0][0]), hidden), last[0][0].dtype),) * parts,) * layers


@bridges.register
def copy(param: Callable, last: list, layers: int, parts: int, hidden: int) -> tuple:
    """s_0 = the encoder's last state, layer by layer   (Sutskever et al. 2014; Luong et al. 2015)."""
    came = (len(last), len(last[0]), last[0][0].shape[-1])
    if came != (layers, parts, hidden):
        names = "{} layer(s) of {} array(s) of size {}"
        raise ValueError(
            f"bridge 'copy' needs encoder and decoder of one shape, but the encoder's last state has "
            f"{names.format(*came)} and the decoder's first {names.format(layers, parts, hidden)}; use bridge 'dense'"
        )
    return tuple(last)


@bridges.register
def dense(param: Callable, last: list, layers: int, parts: int, hidden: int) -> tuple:
    """s_0 = tanh(h W + b), h the output of the encoder's top layer at its end; a W and b for each layer and array."""
    top = last[-1][-1]
    W = param("W", nn.initializers.glorot_uniform(), (top.shape[-1], layers * parts * hidden))
    b = param("b", nn.initializers.zeros, (layers * parts * hidden,))
    arrays = jnp.split(jnp.tanh(top @ W + b[None]), layers * parts, -1)
    return tuple(tuple(arrays[layer * parts : (layer + 1) * parts]) for layer in range(layers))
