"""Auxiliary losses on the attention weights, which training adds to the cross-entropy.

A loss is a function `(weights [t b s], mask [t b], links [b t s] or None) -> [b]`: the sum over the real target steps
of each sentence, in float32 or wider. The weights are the mean over the heads. Training divides the sum over the batch
by the number of real target symbols and multiplies it with the coefficient `train.auxiliary.<name>`.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from attn_research import config
from attn_research.attention.scores import scores
from attn_research.errors import UserError
from attn_research.registry import Bound, Registry, Spec

# links: whether the loss needs gold alignments, which not every task has.
auxiliaries = Registry("auxiliary loss", links=False)

MIN_WEIGHT = 1e-9  # smallest weight in the logarithm of guided alignment

Weights = Float[Array, "t b s"]
Mask = Float[Array, "t b"]
Links = Float[Array, "b t s"]


@auxiliaries.register
def coverage(weights: Weights, mask: Mask, links: None) -> Float[Array, " b"]:
    """sum_t sum_j min(a_tj, c_tj), c_tj = sum_(u < t) a_uj   (See et al. 2017, eq. 12)."""
    before = jnp.cumsum(weights, 0) - weights
    return (jnp.minimum(weights, before).sum(-1) * mask).sum(0)


@auxiliaries.register(links=True)
def alignment(weights: Weights, mask: Mask, links: Links) -> Float[Array, " b"]:
    """-sum_t sum_j g_tj log a_tj, g_t the gold links of step t, shared equally   (Chen et al. 2016, guided alignment).

    A step without links contributes zero. Weights below 1e-9, which sparse normalizers give, count as 1e-9.
    """
    gold = links.swapaxes(0, 1)
    gold = gold / jnp.maximum(gold.sum(-1, keepdims=True), 1)
    return -((gold * jnp.log(jnp.maximum(weights, MIN_WEIGHT))).sum(-1) * mask).sum(0)


@auxiliaries.register
def entropy(weights: Weights, mask: Mask, links: None) -> Float[Array, " b"]:
    """-sum_t sum_j a_tj log a_tj: a positive coefficient sharpens the weights, a negative one spreads them."""
    return -((weights * jnp.log(jnp.where(weights > 0, weights, 1))).sum(-1) * mask).sum(0)


def active_losses(train: config.Train) -> dict[str, Bound]:
    """Returns the losses with a nonzero coefficient, by name."""
    return {name: auxiliaries.bind(Spec(name)) for name, coefficient in vars(train.auxiliary).items() if coefficient}


def needs_links(train: config.Train) -> bool:
    """Returns whether an active loss needs gold alignments."""
    return any(loss.traits.links for loss in active_losses(train).values())


def check(train: config.Train, score: Spec, task: Spec, has_links: bool) -> None:
    """Checks that the active losses have the weights and the gold alignments that they need.

    Raises:
      UserError: the score has no weights, or the task has no gold alignments.
    """
    for name, loss in active_losses(train).items():
        if not scores.bind(score).traits.attends:
            raise UserError(f"train.auxiliary.{name} has no effect: score {str(score)!r} has no weights")
        if loss.traits.links and not has_links:
            raise UserError(f"train.auxiliary.{name} needs gold alignments, but task {str(task)!r} has none")


def losses(train: config.Train, weights: Weights, mask: Mask, links: Links | None) -> dict[str, Array]:
    """Returns every active loss: the mean over the real target symbols, without its coefficient."""
    weights = weights.astype(jnp.promote_types(weights.dtype, jnp.float32))
    return {name: loss(weights, mask, links).sum() / mask.sum() for name, loss in active_losses(train).items()}


def total_loss(train: config.Train, loss: Float[Array, ""], parts: dict[str, Array]) -> Float[Array, ""]:
    """Returns the loss to minimize: the cross-entropy plus the auxiliary losses times their coefficients."""
    for name, part in parts.items():
        loss = loss + getattr(train.auxiliary, name) * part
    return loss
