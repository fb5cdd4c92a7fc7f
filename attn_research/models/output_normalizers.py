"""Output normalizers: turn the output layer's scores z into p, the probabilities of the next symbol; each has its loss.

`output_normalizer(**hyper)` returns an `OutputNormalizer`. All are one family: p = argmax z . p + H(p) over
distributions, for an entropy H. The loss is the Fenchel-Young loss, which has the gradient p - y for a target
distribution y   (Peters et al. 2019; Blondel et al. 2020):

    L(z, y) = z . (p - y) + H(p)

With Shannon's entropy p is the softmax and L the cross-entropy. With Tsallis' entropy p is sparse: most symbols of a
trained model have the probability 0. For one right symbol L is 0 if and only if its probability is 1.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from attn_research.attention.entmax import Alpha, solve_bisect, solve_entmax15, solve_sparsemax
from attn_research.registry import Registry

Symbols = Float[Array, "*r n"]

# mixes: `LatentDecoderSession` computes it, as a mixture over source positions. It knows the softmax alone.
output_normalizers = Registry("output normalizer", mixes=False)


class OutputNormalizer(NamedTuple):
    """The probabilities of the next symbol and their loss."""

    logits: Callable  # z [... n] -> logits [... n], whose softmax is p; -inf where p is 0
    loss: Callable  # (z [t b n], target [b t], label smoothing) -> loss of each target symbol [t b]
    sparse: bool  # whether p can be 0


@output_normalizers.register(mixes=True)
def softmax() -> OutputNormalizer:
    """exp(z_i) / sum_j exp(z_j), with cross-entropy.

    z are the scores of all symbols of the target vocabulary. Every output normalizer is p = argmax z . p + H(p) and
    trains with the Fenchel-Young loss z . (p - y) + H(p), y the target distribution. Here H(p) = -sum_i p_i log p_i.
    """
    return OutputNormalizer(lambda z: z, cross_entropy, sparse=False)


@output_normalizers.register
def sparsemax() -> OutputNormalizer:
    """max(z_i - tau, 0), with the sparsemax loss   (Martins & Astudillo 2016).

    tau is such that the sum is 1. H(p) = sum_i (p_i - p_i^2) / 2.
    """
    return _tsallis(solve_sparsemax, 2.0)


@output_normalizers.register
def entmax(alpha: Alpha = 1.5) -> OutputNormalizer:
    """max((alpha - 1) z_i - tau, 0)^(1 / (alpha - 1)), with the entmax loss   (Peters et al. 2019).

    tau is such that the sum is 1. H(p) = sum_i (p_i - p_i^alpha) / (alpha (alpha - 1)). Towards alpha = 1 it becomes
    the softmax with cross-entropy; at 2 it is sparsemax.
    """
    return _tsallis(solve_entmax15 if alpha == 1.5 else solve_bisect, alpha)


def cross_entropy(logits: Float[Array, "t b n"], target: Int[Array, "b t"], smoothing: float) -> Float[Array, "t b"]:
    """Returns -log p of each target symbol under the softmax, in nats.

    Args:
      smoothing: share of the target probability that label smoothing spreads evenly over all n symbols.
    """
    log_p = jax.nn.log_softmax(_promote(logits))
    return -_target_mean(log_p, target, smoothing)


def _tsallis(solve: Callable, alpha: float) -> OutputNormalizer:
    """Returns the normalizer of H(p) = sum_i (p_i - p_i^alpha) / (alpha (alpha - 1)); `solve` finds p."""

    def probabilities(z: Symbols) -> Symbols:
        rows = _promote(z).reshape(-1, z.shape[-1])
        return solve(rows, jnp.ones_like(rows, bool), jnp.asarray(alpha, rows.dtype)).reshape(z.shape)

    def logits(z: Symbols) -> Symbols:
        p = probabilities(z)
        return jnp.where(p > 0, jnp.log(jnp.where(p > 0, p, 1)), -jnp.inf)

    def loss(z: Float[Array, "t b n"], target: Int[Array, "b t"], smoothing: float) -> Float[Array, "t b"]:
        z = _promote(z)
        p = jax.lax.stop_gradient(probabilities(z))  # L has the gradient p - y, as p maximizes z . p + H(p)
        entropy = (p - p**alpha).sum(-1) / (alpha * (alpha - 1))
        # The sum of p is 1, so z . (p - y) is the sum over p of z - z . y, which has no large terms that cancel.
        return (p * (z - _target_mean(z, target, smoothing)[..., None])).sum(-1) + entropy

    return OutputNormalizer(logits, loss, sparse=True)


def _target_mean(values: Float[Array, "t b n"], target: Int[Array, "b t"], smoothing: float) -> Float[Array, "t b"]:
    """Returns the mean of `values` under the target distribution y with label smoothing."""
    of_target = jnp.take_along_axis(values, target.T[..., None], -1)[..., 0]
    return (1 - smoothing) * of_target + smoothing * values.mean(-1) if smoothing else of_target


def _promote(z: Symbols) -> Symbols:
    """Returns z in float32 at least."""
    return z.astype(jnp.promote_types(z.dtype, jnp.float32))
