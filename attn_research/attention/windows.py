"""Windows: the source positions to which a target step may attend.

A window has a score's form: `window(param, keys, query_size, **hyper)` returns a function `(query [b q], history) ->
visible [b s], reweight`. `visible` is True where the step may attend. `reweight` is a function of the normalized
weights [b s] that returns the final ones. Positions and steps count from 0. Without a window (Luong's "global") every
real position is visible.
"""

from typing import Annotated, Literal

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float, Int

from attn_research.annotations import Positions, Range
from attn_research.attention.scores import Keys, Param, Score, weight_init
from attn_research.registry import Registry

# As for normalizers. A window that reads history.key only to know whether the model is in training is `random` too.
windows = Registry("window", mass="one", positional=True, remembers=False, random=False, exact_gradient=True)

Distance = Annotated[int, Range(minimum=0, maximum=65_536)]


@windows.register
def local_m(param: Param, keys: Keys, query_size: int, D: Distance = 10) -> Score:
    """|j - p_t| <= D, p_t = min(t, S - 1), t the step and S the source's length   (Luong et al. 2015, section 3.2)."""

    def window(query, history):
        return _within(jnp.minimum(history.step, history.lengths - 1), D, keys.shape[1]), lambda weights: weights

    return window


@windows.register(mass="at most one")
def local_p(param: Param, keys: Keys, query_size: int, D: Positions = 10, renormalise: bool = False) -> Score:
    """a_j exp(-(j - p_t)^2 / (2 (D/2)^2)), |j - floor(p_t)| <= D, p_t = S sigma(v_p . tanh(W_p q))   (Luong et al.
    2015, section 3.2).

    As in the authors' code, a is normalized inside the window. `renormalise` normalizes it again after the Gaussian.
    p_t gets a gradient through the Gaussian only. If positions count from 1, p_t is 1 + S sigma(.).
    """
    W_p = param("W_p", weight_init, (query_size, query_size))
    v_p = param("v_p", nn.initializers.normal(query_size**-0.5), (query_size,))

    def window(query, history):
        p = history.lengths * nn.sigmoid(jnp.tanh(query @ W_p) @ v_p)
        gaussian = jnp.exp(-2 * ((jnp.arange(keys.shape[1])[None] - p[:, None]) / D) ** 2)
        center = jnp.minimum(jnp.floor(p).astype(jnp.int32), history.lengths - 1)
        finish = _renormalize if renormalise else lambda weights: weights
        return _within(center, D, keys.shape[1]), lambda weights: finish(weights * gaussian)

    return window


@windows.register(remembers=True, random=True)
def around_last(
    param: Param, keys: Keys, query_size: int, back: Distance = 1, ahead: Positions = 3,
    start: Literal["first", "open"] = "first",
) -> Score:  # fmt: skip
    """last - back <= j < last + ahead, except in training   (Deep Voice 3, Ping et al. 2018, section 3.4).

    `last` is the position with the greatest weight in the last step. At the first step it is 0 (the paper, ESPnet's
    Tacotron 2 and deepvoice3_pytorch); with start="open", every position is visible at the first step (an ESPnet
    attention without a last position). The defaults are ESPnet's.
    """

    def window(query, history):
        last, j = history.weights.argmax(-1)[:, None], jnp.arange(keys.shape[1])[None]
        inside = (j >= last - back) & (j < last + ahead)
        all_positions = (start == "open") & (history.step == 0) | (history.key is not None)
        return inside | all_positions, lambda weights: weights

    return window


def _within(center: Int[Array, " b"], D: int, s: int) -> Bool[Array, "b s"]:
    return jnp.abs(jnp.arange(s)[None] - center[:, None]) <= D


def _renormalize(weights: Float[Array, "b s"]) -> Float[Array, "b s"]:
    """Returns the weights divided by their sum, or zeros if it is 0."""
    total = weights.sum(-1, keepdims=True)
    return weights / jnp.where(total > 0, total, 1)
