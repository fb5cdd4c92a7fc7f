"""Attention: score, softmax and weighted sum, put together once for every score."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float, Int

from attn_research import config
from attn_research.attention.scores import scores
from attn_research.registry import Bound, Spec


class History(NamedTuple):
    """What a score may know of the steps before; a search that reorders its hypotheses reorders this with them."""

    step: Int[Array, "..."]  # number of target steps before this one
    lengths: Int[Array, " b"]  # real source lengths
    weights: Float[Array, "b s"] | None  # of the step before, zero before the first; only if the score remembers
    coverage: Float[Array, "b s"] | None  # their running sum; only if the score remembers


class Attend(NamedTuple):
    """Attention over one batch of sources: pure functions, their parameters already taken."""

    start: History
    step: Callable  # (query [b q], History) -> context [b v], weights [b s], History
    context_size: int  # 0 without attention
    fixed: Float[Array, "b f"]  # enters every step's input; f is 0 with attention
    remembers: bool

    def all_steps(self, queries: Float[Array, "t b q"]) -> tuple[Array, Array]:
        """Contexts [t b v] and weights [t b s] of all target steps at once, where no step needs the one before."""
        history = self.start._replace(step=jnp.arange(len(queries)))
        in_axes = (0, History(0, None, None, None))
        return jax.vmap(lambda q, h: self.step(q, h)[:2], in_axes)(queries, history)


class Parameters(nn.Module):
    """Gives a function parameters of its own: `Parameters(name="score")(general, keys, query_size)`."""

    @nn.compact
    def __call__(self, function: Callable, *args: Any) -> Any:
        return function(self.param, *args)


def project(param: Callable, inputs: Float[Array, "*n i"], size: int) -> Float[Array, "*n o"]:
    """x W."""
    return inputs @ param("W", nn.initializers.glorot_uniform(), (inputs.shape[-1], size))


def source_mask(lengths: Int[Array, " b"], size: int) -> Bool[Array, "b s"]:
    """True on the real positions of sources padded to `size`."""
    return jnp.arange(size)[None] < lengths[:, None]


def source_limit(score: Spec) -> int | None:
    """The longest source that a score allows; None: any."""
    bound = scores.bind(score)
    return bound.hyper[bound.traits.limit] if bound.traits.limit else None


class Attention(nn.Module):
    """Attends to the encoder states: weights = softmax_j(score(k_j, q)), context = sum_j weights_j v_j."""

    config: config.Attention

    @nn.compact
    def __call__(
        self, states: Float[Array, "b s h"], lengths: Int[Array, " b"], last: Float[Array, "b h"], query_size: int
    ) -> Attend:
        bound = scores.bind(self.config.score)
        self._check(bound)
        if not bound.traits.attends:
            return self._without(Parameters(name="score")(bound, last, query_size), lengths)
        keys, values = self._projected("keys", states), self._projected("values", states)
        score = Parameters(name="score")(bound, keys, query_size)
        mask = source_mask(lengths, states.shape[1])

        def step(query, history):
            logits = score(query, history).astype(jnp.float32)
            weights = jax.nn.softmax(logits, where=mask).astype(values.dtype)
            return jnp.einsum("bs,bsv->bv", weights, values), weights, _remember(history, weights)

        nothing = jnp.zeros_like(mask, values.dtype) if bound.traits.remembers else None
        start = History(jnp.zeros((), jnp.int32), lengths, nothing, nothing)
        return Attend(start, step, values.shape[-1], last[:, :0], bound.traits.remembers)

    def _projected(self, name: str, states: Float[Array, "b s h"]) -> Float[Array, "b s o"]:
        size = getattr(self.config, name)
        return states if size is None else Parameters(name=name)(project, states, size)

    def _without(self, fixed: Float[Array, "b f"], lengths: Int[Array, " b"]) -> Attend:
        nothing = fixed[:, :0]
        start = History(jnp.zeros((), jnp.int32), lengths, None, None)
        return Attend(start, lambda query, history: (nothing, nothing, history), 0, fixed, False)

    def _check(self, bound: Bound) -> None:
        """Refuses projections that would be without effect."""
        for name, read in (("keys", bound.traits.content), ("values", bound.traits.attends)):
            if getattr(self.config, name) is not None and not read:
                raise ValueError(
                    f"model.attention.{name} has no effect: score {str(self.config.score)!r} reads no {name}"
                )


def _remember(history: History, weights: Float[Array, "b s"]) -> History:
    history = history._replace(step=history.step + 1)
    if history.weights is None:
        return history
    return history._replace(weights=weights, coverage=history.coverage + weights)
