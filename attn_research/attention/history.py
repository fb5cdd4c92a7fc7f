"""What one step of attention tells the next."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class History(NamedTuple):
    """What a step may know of those before it; a search that reorders its hypotheses reorders this with them."""

    step: Int[Array, "..."]  # number of target steps before this one
    lengths: Int[Array, " b"]  # real source lengths
    weights: Float[Array, "b s"] | None = None  # of the step before, zero before the first; only where one remembers
    coverage: Float[Array, "b s"] | None = None  # their running sum; only where one remembers
    memory: Any = None  # a piece's own, from its `StatefulComponent`
    key: Array | None = None  # random key of this step, in training; only where one is random


class StepResult(NamedTuple):
    """What one step of attention did, for those who remember it."""

    query: Float[Array, "b q"]
    visible: Bool[Array, "b s"]  # real positions inside the window
    logits: Float[Array, "b s"]
    weights: Float[Array, "b s"]
    context: Float[Array, "b v"]


class StatefulComponent(NamedTuple):
    """A score, normalizer or window with a state of its own, in place of the bare function."""

    start: Any  # memory before the first step: a pytree of [b ...] arrays
    step: Callable  # the bare function; it finds the memory in `history.memory`
    update: Callable  # (Step, History) -> memory of the next step


def as_stateful(component: Callable | StatefulComponent) -> StatefulComponent:
    """A bare function as one that has nothing to remember."""
    return (
        component
        if isinstance(component, StatefulComponent)
        else StatefulComponent(None, component, lambda step_result, history: None)
    )


def previous_weights(history: History, first: Float[Array, "b s"]) -> Float[Array, "b s"]:
    """The weights of the step before; `first` before there are any."""
    return jnp.where(history.step == 0, first, history.weights)


def first_position(history: History) -> Float[Array, "b s"]:
    """All weight on position 0; only where one remembers."""
    at = jnp.arange(history.weights.shape[-1]) == 0
    return (source_mask(history.lengths, len(at)) & at[None]).astype(history.weights.dtype)


def source_mask(lengths: Int[Array, " b"], size: int) -> Bool[Array, "b s"]:
    """True on the real positions of sources padded to `size`."""
    return jnp.arange(size)[None] < lengths[:, None]


def uniform_weights(history: History) -> Float[Array, "b s"]:
    """The same weight on every real position; only where one remembers."""
    mask, dtype = source_mask(history.lengths, history.weights.shape[-1]), history.weights.dtype
    lengths = jnp.maximum(history.lengths, 1)[:, None].astype(jnp.promote_types(dtype, jnp.float32))
    return (mask / lengths).astype(dtype)
