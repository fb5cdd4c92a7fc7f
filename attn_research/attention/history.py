"""The state that attention carries from one target step to the next."""

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class History(NamedTuple):
    """What a step may read of earlier steps. A search that reorders its hypotheses reorders their histories too."""

    step: Int[Array, "..."]  # number of target steps before this one
    lengths: Int[Array, " b"]  # real source lengths
    # Of the last step, zero before the first, and their sum over all earlier steps; None unless a component remembers.
    weights: Float[Array, "b s"] | None = None
    coverage: Float[Array, "b s"] | None = None
    memory: Any = None  # a component's own, see `StatefulComponent`
    key: Array | None = None  # of this step, in training; None unless a component is random


class StepResult(NamedTuple):
    """The inputs and results of one step, from which components update their memory."""

    query: Float[Array, "b q"]
    visible: Bool[Array, "b s"]  # real positions inside the window
    logits: Float[Array, "b s"]
    weights: Float[Array, "b s"]
    context: Float[Array, "b v"]


class StatefulComponent(NamedTuple):
    """A score, normalizer or window with its own memory. It takes the place of the bare function."""

    start: Any  # the memory before the first step: a pytree of [b ...] arrays
    step: Callable  # the bare function; reads the memory from `history.memory`
    update: Callable  # (StepResult, History) -> the memory of the next step


def as_stateful(component: Callable | StatefulComponent) -> StatefulComponent:
    """Returns a bare function as a component without memory, and a `StatefulComponent` as it is."""
    if isinstance(component, StatefulComponent):
        return component
    return StatefulComponent(None, component, lambda step_result, history: None)


def previous_weights(history: History, first: Float[Array, "b s"]) -> Float[Array, "b s"]:
    """Returns the weights of the last step; before the first step, `first`. For a component that remembers."""
    return jnp.where(history.step == 0, first, cast(Array, history.weights))  # never None where they are read


def first_position(history: History) -> Float[Array, "b s"]:
    """Returns all weight on position 0, for a component that remembers."""
    weights = cast(Array, history.weights)
    at = jnp.arange(weights.shape[-1]) == 0
    return (source_mask(history.lengths, len(at)) & at[None]).astype(weights.dtype)


def source_mask(lengths: Int[Array, " b"], size: int) -> Bool[Array, "b s"]:
    """Returns True on the real positions of sources padded to `size`."""
    return jnp.arange(size)[None] < lengths[:, None]


def uniform_weights(history: History) -> Float[Array, "b s"]:
    """Returns equal weights on all real positions, for a component that remembers."""
    weights = cast(Array, history.weights)
    mask, dtype = source_mask(history.lengths, weights.shape[-1]), weights.dtype
    lengths = jnp.maximum(history.lengths, 1)[:, None].astype(jnp.promote_types(dtype, jnp.float32))
    return (mask / lengths).astype(dtype)
