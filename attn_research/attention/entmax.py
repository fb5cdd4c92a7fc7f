"""Sparse normalizers: p = argmax p.z + H_alpha(p) over distributions, H_alpha the Tsallis entropy.

p_j = max((alpha - 1) z_j - tau, 0)^(1 / (alpha - 1)) with tau such that they sum to one: softmax at alpha = 1,
sparsemax at 2   (Peters et al. 2019; Correia et al. 2019).
"""

import functools
import math
from collections.abc import Callable
from typing import Annotated

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from attn_research.annotations import Range
from attn_research.attention.normalizers import Mask, Row, normalizers
from attn_research.attention.scores import Keys, Param, Score
from attn_research.registry import require

ZERO_LOGIT = -2.0  # once the largest logit is 0, tau is at least -1, so from here down p is 0

# In this range weights are right to 1e-5 in float32. Nearer to 1 entmax is softmax; above it, rounding dominates p.
Alpha = Annotated[float, Range(minimum=1.01, maximum=2.25)]


@normalizers.register
def sparsemax(param: Param, keys: Keys, query_size: int) -> Score:
    """max(e_j - tau, 0), the distribution nearest to e   (Martins & Astudillo 2016, eq. 2)."""
    return lambda logits, visible, query, history: solve_with_gradient(
        solve_sparsemax, logits, visible, _as_array(2.0, logits)
    )


@normalizers.register
def entmax(param: Param, keys: Keys, query_size: int, alpha: Alpha = 1.5, learned: bool = False) -> Score:
    """max((alpha - 1) e_j - tau, 0)^(1 / (alpha - 1))   (Peters et al. 2019).

    With `learned`, alpha = 1.01 + 0.99 sigmoid(a) starts at `alpha` (Correia et al. 2019). S7 predicts a.
    """
    alpha_value = _learned_alpha(param, alpha) if learned else alpha
    solve = solve_entmax15 if not learned and alpha == 1.5 else solve_bisect
    return lambda logits, visible, query, history: solve_with_gradient(
        solve, logits, visible, _as_array(alpha_value, logits)
    )


def _learned_alpha(param: Param, start: float) -> Float[Array, ""]:
    require(1.01 < start < 2, f"alpha of normalizer 'entmax' is {start}, but learned it must be between 1.01 and 2")
    a = math.log((start - 1.01) / (2 - start))
    return 1.01 + 0.99 * nn.sigmoid(param("a", nn.initializers.constant(a), ()))


def _as_array(alpha: float | Float[Array, ""], logits: Row) -> Float[Array, ""]:
    return jnp.asarray(alpha, logits.dtype)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def solve_with_gradient(solve: Callable, z: Row, visible: Mask, alpha: Float[Array, ""]) -> Row:
    """Returns `solve(z, visible, alpha)`, the p above, with its exact gradient for z and alpha."""
    return solve(z, visible, alpha)


def _forward(solve: Callable, z: Row, visible: Mask, alpha: Float[Array, ""]) -> tuple:
    p = solve(z, visible, alpha)
    return p, (p, alpha)


def _backward(solve: Callable, residuals: tuple, g: Row) -> tuple:
    """Returns the gradients: for alpha by Correia et al. 2019, proposition 1; for z by the Jacobian
    diag(s) - s s^T / sum(s), where s = p^(2 - alpha) on the support.
    """
    p, alpha = residuals
    s = jnp.where(p > 0, jnp.where(p > 0, p, 1) ** (2 - alpha), 0)
    share = s / jnp.maximum(s.sum(-1, keepdims=True), 1)  # the sum is at least 1 where anything is visible
    h = -p * jnp.log(jnp.where(p > 0, p, 1))
    gradient_z = s * g - share * (s * g).sum(-1, keepdims=True)
    gradient_alpha = (p - share) / (alpha - 1) ** 2 + (h - share * h.sum(-1, keepdims=True)) / (alpha - 1)
    return gradient_z, None, (g * gradient_alpha).sum()


solve_with_gradient.defvjp(_forward, _backward)


def solve_sparsemax(z: Row, visible: Mask, alpha: Float[Array, ""]) -> Row:
    """Solves alpha = 2. The support has the largest k with 1 + k z_k > z_1 + ... + z_k, z in descending order."""
    z = _shift(z, visible, 1.0)
    descending, k = _sort_descending(z)
    total = jnp.cumsum(descending, -1)
    size = (1 + k * descending > total).sum(-1, keepdims=True)
    tau = (jnp.take_along_axis(total, size - 1, -1) - 1) / size
    return jnp.where(visible, jnp.maximum(z - tau, 0), 0)


def solve_entmax15(z: Row, visible: Mask, alpha: Float[Array, ""]) -> Row:
    """Solves alpha = 1.5. tau_k assumes that the support is the k largest; the last tau_k <= z_k is the right one."""
    z = _shift(z, visible, 0.5)
    descending, k = _sort_descending(z)
    mean = jnp.cumsum(descending, -1) / k
    squares = jnp.cumsum(descending**2, -1) - k * mean**2
    taus = mean - jnp.sqrt(jnp.maximum((1 - squares) / k, 0))
    size = (taus <= descending).sum(-1, keepdims=True)
    return jnp.where(visible, jnp.maximum(z - jnp.take_along_axis(taus, size - 1, -1), 0) ** 2, 0)


def solve_bisect(z: Row, visible: Mask, alpha: Float[Array, ""]) -> Row:
    """Solves any alpha above 1. Halves the interval around tau until the dtype resolves no smaller one."""
    z = _shift(z, visible, alpha - 1)

    def p(tau):
        return jnp.where(visible, jnp.maximum(z - tau, 0) ** (1 / (alpha - 1)), 0)

    def bisect(i, low):
        middle = low + 0.5 ** (i + 1.0).astype(z.dtype)
        return jnp.where(p(middle).sum(-1, keepdims=True) >= 1, middle, low)

    weights = p(jax.lax.fori_loop(0, jnp.finfo(z.dtype).nmant + 1, bisect, jnp.full_like(z[:, :1], -1)))
    return weights / jnp.maximum(weights.sum(-1, keepdims=True), 1)


def _shift(z: Row, visible: Mask, scale: float | Float[Array, ""]) -> Row:
    """Returns `scale` z, shifted so that its largest visible entry is 0, and cut off at ZERO_LOGIT."""
    z = scale * (z - z.max(-1, where=visible, initial=-jnp.inf, keepdims=True))
    return jnp.maximum(jnp.where(visible, z, ZERO_LOGIT), ZERO_LOGIT)


def _sort_descending(z: Row) -> tuple[Row, Float[Array, "1 s"]]:
    """Returns z in descending order, and 1, 2, 3 ..."""
    return jnp.flip(jnp.sort(z, -1), -1), jnp.arange(1, z.shape[-1] + 1, dtype=z.dtype)[None]
