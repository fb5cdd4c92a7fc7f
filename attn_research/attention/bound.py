"""Attention over one batch of sources, its parameters already taken: what runs in every target step.

Every method is a pure function of its arguments and of arrays that the object holds, so it runs under `jax.jit`,
`jax.vmap` and `jax.lax.scan`. The objects themselves are no pytrees: close over them, do not pass them in.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from attn_research.attention.history import History, StatefulComponent, StepResult
from attn_research.attention.latent import Latent, make_prior_input
from attn_research.attention.map_steps import map_steps


@dataclass(frozen=True, eq=False)
class Head:
    """One head: weights = normalize(score(query, keys)), context = sum_j weights_j v_j."""

    components: dict[str, StatefulComponent]  # "score", "normalizer" and, if the config names one, "window"
    values: Float[Array, "b s v"]
    mask: Bool[Array, "b s"]  # True on real positions
    start: History  # before the first step
    key: Array | None  # in training, if a component draws random numbers

    def score(self, query: Float[Array, "b q"], history: History) -> Float[Array, "b s"]:
        """Returns the logits of all positions, in float32 at least."""
        logits = self.components["score"].step(query, self._histories(history)["score"])
        return logits.astype(jnp.promote_types(logits.dtype, jnp.float32))

    def normalize(
        self, query: Float[Array, "b q"], history: History, logits: Float[Array, "b s"]
    ) -> tuple[Bool[Array, "b s"], Float[Array, "b s"]]:
        """Returns the visible positions, and the weights in the dtype of the values."""
        histories, visible, reweight = self._histories(history), self.mask, lambda weights: weights
        if "window" in self.components:
            inside, reweight = self.components["window"].step(query, histories["window"])
            visible = self.mask & inside
        weights = reweight(self.components["normalizer"].step(logits, visible, query, histories["normalizer"]))
        return visible, weights.astype(self.values.dtype)

    def weighted_sum(self, weights: Float[Array, "b s"]) -> Float[Array, "b v"]:
        """Returns the context."""
        return jnp.einsum("bs,bsv->bv", weights, self.values)

    def step(
        self, query: Float[Array, "b q"], history: History
    ) -> tuple[Float[Array, "b v"], Float[Array, "b s"], History]:
        """Attends once: returns the context, the weights and the next step's history."""
        logits = self.score(query, history)
        visible, weights = self.normalize(query, history, logits)
        context, histories = self.weighted_sum(weights), self._histories(history)
        result = StepResult(query, visible, logits, weights, context)
        memory = {name: component.update(result, histories[name]) for name, component in self.components.items()}
        return context, weights, _next_history(history, weights, memory)

    def attend_all(self, queries: Float[Array, "t b q"]) -> tuple[Float[Array, "t b v"], Float[Array, "t b s"]]:
        """Attends for all steps at once: returns contexts and weights. No step may read an earlier one."""
        steps = jnp.arange(len(queries))
        logits = map_steps(self._score_at, queries, steps)
        return map_steps(self._attend_at, queries, steps, logits)

    def _score_at(self, query: Float[Array, "b q"], step: Int[Array, ""]) -> Float[Array, "b s"]:
        return self.score(query, self.start._replace(step=step))

    def _attend_at(
        self, query: Float[Array, "b q"], step: Int[Array, ""], logits: Float[Array, "b s"]
    ) -> tuple[Float[Array, "b v"], Float[Array, "b s"]]:
        _, weights = self.normalize(query, self.start._replace(step=step), logits)
        return self.weighted_sum(weights), weights

    def _histories(self, history: History) -> dict[str, History]:
        """The history as each component reads it: with its own memory, and with the step's random key."""
        if self.key is not None:
            history = history._replace(key=jax.random.fold_in(self.key, history.step))
        return {name: history._replace(memory=history.memory[name]) for name in self.components}


def _next_history(history: History, weights: Float[Array, "b s"], memory: dict[str, Any]) -> History:
    history = history._replace(step=history.step + 1, memory=memory)
    if history.coverage is None:
        return history
    return history._replace(weights=weights, coverage=history.coverage + weights)


@dataclass(frozen=True, eq=False)
class BoundAttention:
    """All heads and the output projection."""

    heads: tuple[Head, ...]
    split: bool  # each head reads its part of the query; else all of it
    ignores_weights: bool  # there is one head, whose weights a latent does not read
    output: Callable  # joined contexts [... h] -> context [... v]
    context_size: int  # v; 0 without attention
    static_input: Float[Array, "b f"]  # enters every step's input; f is 0 with attention
    remembers: bool  # a step reads earlier ones
    latent: Latent | None  # if there is one, `PriorInput` takes the place of the weights

    @property
    def start(self) -> tuple[History, ...]:
        """The history of every head before the first step."""
        return tuple(head.start for head in self.heads)

    def split_query(self, query: Float[Array, "*t b q"]) -> list[Float[Array, "*t b p"]]:
        """Returns the query of every head."""
        if self.ignores_weights:
            return [query[..., :0]]
        return jnp.split(query, len(self.heads), -1) if self.split else [query] * len(self.heads)

    def join(self, query: Float[Array, "*t b q"], contexts: tuple[Array, ...], weights: tuple[Array, ...]) -> tuple:
        """Returns the context, and the mean of the heads' weights or, with a latent, its `PriorInput`."""
        context = self.output(jnp.concatenate(contexts, -1))
        mean = cast(Array, sum(weights)) / len(self.heads)  # an array, as there is at least one head
        return context, make_prior_input(mean, query) if self.latent else mean

    def step(self, query: Float[Array, "b q"], histories: tuple[History, ...]) -> tuple:
        """Attends once.

        Args:
          query: of this step.
          histories: of every head before this step.

        Returns:
          Context [b v], weights [b s] and the histories before the next step.
        """
        inputs = zip(self.heads, self.split_query(query), histories, strict=True)
        contexts, weights, histories = zip(*(head.step(q, h) for head, q, h in inputs), strict=True)
        return *self.join(query, contexts, weights), histories

    def attend_all(self, queries: Float[Array, "t b q"]) -> tuple:
        """Attends for all steps at once. No step may read an earlier one: `remembers` must be False.

        Args:
          queries: of all steps, time first.

        Returns:
          Contexts [t b v] and weights [t b s].
        """
        inputs = zip(self.heads, self.split_query(queries), strict=True)
        contexts, weights = zip(*(head.attend_all(q) for head, q in inputs), strict=True)
        return self.join(queries, contexts, weights)


@dataclass(frozen=True, eq=False)
class NoAttention(BoundAttention):
    """Takes the place of attention in a decoder without it: context and weights have size 0."""

    empty: Float[Array, "b 0"]

    def step(self, query: Float[Array, "b q"], histories: tuple[History, ...]) -> tuple:
        return self.empty, self.empty, histories

    def attend_all(self, queries: Float[Array, "t b q"]) -> tuple:
        return (jnp.zeros((len(queries), *self.empty.shape), self.empty.dtype),) * 2
