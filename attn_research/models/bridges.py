"""Bridges: compute the decoder's first state s_0 from the encoder's output.

`bridge(param, source, layers, parts, hidden)` returns `layers` tuples of `parts` arrays [b hidden].
"""

from collections.abc import Callable
from typing import Literal

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from attn_research.attention.history import source_mask
from attn_research.errors import UserError
from attn_research.models.encoder import EncoderOutput
from attn_research.registry import Registry

# informs: passes information about the source to the decoder.
bridges = Registry("bridge", informs=True)


@bridges.register(informs=False)
def zero(param: Callable, source: EncoderOutput, layers: int, parts: int, hidden: int) -> tuple:
    """s_0 = 0."""
    top = source.last[-1][-1]
    return ((jnp.zeros((len(top), hidden), top.dtype),) * parts,) * layers


@bridges.register
def copy(param: Callable, source: EncoderOutput, layers: int, parts: int, hidden: int) -> tuple:
    """s_0 = the encoder's last state, layer by layer   (Sutskever et al. 2014; Luong et al. 2015)."""
    _require_same_shape("copy", source, layers, parts, hidden)
    return tuple(source.last)


@bridges.register
def dense(
    param: Callable, source: EncoderOutput, layers: int, parts: int, hidden: int,
    reads: Literal["top", "each", "backward"] = "top", shared: bool = False,
) -> tuple:  # fmt: skip
    """s_0 = tanh(h W + b), a W and b for each layer and array   (Sockeye; with `shared`, one for all, as in Joey NMT).

    h is the last output of the encoder's top layer. With reads="each" it is that of the encoder layer at the same
    height. With reads="backward" it is that of the top layer's backward direction, which ends at the first symbol
    (Bahdanau et al. 2015, appendix A.2.2, without b).
    """
    if reads != "each":
        h = source.last[-1][-1] if reads == "top" else _backward(source)
        return _states(param, h, layers, parts, hidden, shared=shared)
    if len(source.last) != layers or layers == 1 or shared:
        raise UserError(
            "bridge 'dense(reads=\"each\")' needs as many encoder as decoder layers, at least two, and shared=False, "
            f"but there are {len(source.last)} and {layers} layer(s), and shared is {shared}"
        )
    last_outputs = [last[-1] for last in source.last]
    return sum((_states(param, h, 1, parts, hidden, suffix=f"_{layer}") for layer, h in enumerate(last_outputs)), ())


@bridges.register
def relu(param: Callable, source: EncoderOutput, layers: int, parts: int, hidden: int) -> tuple:
    """s_0 = relu(h W + b), h an array of the encoder's last states, all layers joined; a W and b for each array of a
    state   (OpenNMT-py's `bridge`).

    With two directions the joined array is split into halves, which share one W. With one layer the halves are the
    directions, with two they are the layers.
    """
    _require_same_shape("relu", source, layers, parts, hidden)
    pieces = 2 if source.direction == "both" else 1
    size = layers * hidden // pieces
    result = []
    for part in range(parts):
        W = param(f"W_{part}", nn.initializers.glorot_uniform(), (size, size))
        b = param(f"b_{part}", nn.initializers.zeros, (size,))
        joined = jnp.concatenate([last[part] for last in source.last], -1)
        states = [nn.relu(piece @ W + b[None]) for piece in jnp.split(joined, pieces, -1)]
        result.append(jnp.split(jnp.concatenate(states, -1), layers, -1))
    return tuple(zip(*result, strict=True))


@bridges.register
def linear(param: Callable, source: EncoderOutput, layers: int, parts: int, hidden: int) -> tuple:
    """s_0 = h W + b, h an array of the encoder's last state, layer by layer; a W and b for each array of a state, the
    same for all layers   (fairseq, whose decoder has another size than its encoder).
    """
    last = source.last
    if (len(last), len(last[0])) != (layers, parts):
        raise UserError(
            f"bridge 'linear' needs an encoder and a decoder of equally many layers and arrays, but the encoder has "
            f"{len(last)} layer(s) of {len(last[0])} array(s) and the decoder {layers} of {parts}; use bridge 'dense'"
        )
    arrays = []
    for part in range(parts):
        W = param(f"W_{part}", nn.initializers.glorot_uniform(), (last[0][part].shape[-1], hidden))
        b = param(f"b_{part}", nn.initializers.zeros, (hidden,))
        arrays.append([layer[part] @ W + b[None] for layer in last])
    return tuple(zip(*arrays, strict=True))


@bridges.register
def mean(param: Callable, source: EncoderOutput, layers: int, parts: int, hidden: int) -> tuple:
    """s_0 = tanh(h W + b), h the mean of the encoder states; a W and b for each layer and array   (Nematus)."""
    real = source_mask(source.lengths, source.states.shape[1])[..., None]
    h = jnp.where(real, source.states, 0).sum(1) / jnp.maximum(source.lengths, 1)[:, None]
    return _states(param, h.astype(source.states.dtype), layers, parts, hidden)


def _require_same_shape(bridge: str, source: EncoderOutput, layers: int, parts: int, hidden: int) -> None:
    last = source.last
    shape = (len(last), len(last[0]), last[0][0].shape[-1])
    if shape != (layers, parts, hidden):
        text = "{} layer(s) of {} array(s) of size {}"
        raise UserError(
            f"bridge {bridge!r} needs encoder and decoder of one shape, but the encoder's last state has "
            f"{text.format(*shape)} and the decoder's first {text.format(layers, parts, hidden)}; use bridge 'dense'"
        )


def _states(
    param: Callable,
    h: Float[Array, "b i"],
    layers: int,
    parts: int,
    hidden: int,
    shared: bool = False,
    suffix: str = "",
) -> tuple:
    """Returns tanh(h W + b), split into the arrays of all layers."""
    if shared and layers * parts == 1:
        raise UserError("shared of bridge 'dense' has no effect: the decoder's state is one layer of one array")
    matrices, times = (1, layers * parts) if shared else (layers * parts, 1)
    W = param(f"W{suffix}", nn.initializers.glorot_uniform(), (h.shape[-1], matrices * hidden))
    b = param(f"b{suffix}", nn.initializers.zeros, (matrices * hidden,))
    arrays = jnp.split(jnp.tanh(h @ W + b[None]), matrices, -1) * times
    return tuple(tuple(arrays[layer * parts : (layer + 1) * parts]) for layer in range(layers))


def _backward(source: EncoderOutput) -> Float[Array, "b i"]:
    if source.direction != "both":
        raise UserError(
            "bridge 'dense(reads=\"backward\")' needs model.encoder.direction both, but it is "
            f'{source.direction!r}, whose only last state is read with reads="top"'
        )
    return jnp.split(source.last[-1][-1], 2, -1)[1]
