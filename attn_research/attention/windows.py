"""Windows: which source positions a target step may look at.

A window has a score's form: `window(param, keys, query_size, **hyper)` returns a function `(query [b q], history) ->
visible [b s], reweigh`: True where the step may look, and what is done to the weights [b s] after they are normalized.
Positions and steps count from 0. Without a window (Luong's "global") every real position is visible.
"""

from typing import Annotated, Literal

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float, Int

from attn_research.annotations import Positions, Range
from attn_research.attention.scores import Keys, Param, Score, weight_init
from attn_research.registry import Registry

# mass: what the weights of a step sum to: "one" (unless nothing is visible), or "at most one"; remembers: reads
# earlier steps, so steps can't run all at once; random: reads history.key, if only to know training by it; the
# others as for normalizers.
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

    As in the authors' code, a is normalized inside the window, and not again after the
    Gaussian unless `renormalise`; p_t has a gradient through the Gaussian only. Counted from 1, p_t is 1 + S sigma(.).
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

    `last` is where the step before looked most. At the first step it is 0 (the paper, ESPnet's Tacotron 2 and
    deepvoice3_pytorch), or with start="open" every position is visible (an ESPnet attention that is given no last
    position). The values are ESPnet's.
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
    """Divided by their sum, unless that is 0."""
    total = weights.sum(-1, keepdims=True)
    return weights / jnp.where(total > 0, total, 1)
