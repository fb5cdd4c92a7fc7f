"""Attention: window, score, normalizer and weighted sum, put together once for every variant."""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int

from attn_research import config
from attn_research.attention.guard import build
from attn_research.attention.history import History, StatefulComponent, StepResult, as_stateful, source_mask
from attn_research.attention.latent import Latent, Started, from_weights, latents, make_prior_input
from attn_research.attention.map_steps import map_steps
from attn_research.attention.normalizers import normalizers
from attn_research.attention.scores import scores
from attn_research.attention.windows import windows
from attn_research.errors import UserError
from attn_research.registry import Bound, Spec


class BoundAttention(NamedTuple):
    """Attention over one batch of sources: pure functions, their parameters already taken."""

    start: tuple[History, ...]  # of every head
    step: Callable  # (query [b q], histories) -> context [b v], weights [b s] (the mean over heads), histories
    all_steps: Callable  # queries [t b q] -> contexts [t b v], weights [t b s], where no step needs the one before
    context_size: int  # 0 without attention
    static_input: Float[Array, "b f"]  # enters every step's input; f is 0 with attention
    remembers: bool
    latent: Latent | None = None  # a `PriorInput` then stands in place of the weights


class Parameters(nn.Module):
    """Gives a function parameters of its own: `Parameters(name="score")(general, keys, query_size)`."""

    @nn.compact
    def __call__(self, function: Callable, *args: Any) -> Any:
        return function(self.param, *args)


def projection(param: Callable, inputs: int, outputs: int, bias: bool) -> Callable:
    """x -> x W [+ b]."""
    W = param("W", nn.initializers.glorot_uniform(), (inputs, outputs))
    b = param("b", nn.initializers.zeros, (outputs,)) if bias else None
    return lambda x: x @ W if b is None else x @ W + jnp.broadcast_to(b, (*x.shape[:-1], outputs))


class Head(NamedTuple):
    """One head: what it looks at, and with which parameters."""

    scope: str  # prefix of its parameters' names
    keys: Float[Array, "b s k"]
    values: Float[Array, "b s v"]
    query_size: int


def max_source_length(score: Spec) -> int | None:
    """The longest source that a score allows; None: any."""
    bound = scores.bind(score)
    return bound.hyper[bound.traits.limit] if bound.traits.limit else None


class Attention(nn.Module):
    """Attends to the encoder states: weights = normalize_j(score(k_j, q)), context = sum_j weights_j v_j."""

    config: config.Attention

    @nn.compact
    def __call__(
        self, states: Float[Array, "b s h"], lengths: Int[Array, " b"], last: Float[Array, "b h"], query_size: int
    ) -> BoundAttention:
        c = self.config
        bound = self.components()
        ignores_weights = bool(c.latent) and not latents.bind(c.latent).traits.weighted
        self._check(bound["score"], ignores_weights)
        if not bound["score"].traits.attends:
            return self._no_attention(Parameters(name="score")(bound["score"], last, query_size), lengths)
        remembers, random = (any(getattr(b.traits, t) for b in bound.values()) for t in ("remembers", "random"))
        heads = self._heads(states, query_size, ignores_weights)
        keys = [None] * len(heads)
        if random and self.has_rng("attention"):
            keys = jax.random.split(self.make_rng("attention"), len(heads))
        per_head = [
            self._attend_head(bound, head, lengths, remembers, key) for head, key in zip(heads, keys, strict=True)
        ]
        self._reject_identical_heads(random)
        starts, steps, heads_attend_all = zip(*per_head, strict=True)
        concat_size = sum(head.values.shape[-1] for head in heads)
        output = self._projection("output", concat_size)

        def split_query(query):
            if ignores_weights:
                return [query[..., :0]]
            return jnp.split(query, c.heads, -1) if c.split else [query] * c.heads

        def join(query, contexts, weights):
            context, weights = output(jnp.concatenate(contexts, -1)), sum(weights) / c.heads
            return context, make_prior_input(weights, query) if c.latent else weights

        def step(query, histories):
            results = [one(q, h) for one, q, h in zip(steps, split_query(query), histories, strict=True)]
            contexts, weights, histories = zip(*results, strict=True)
            return *join(query, contexts, weights), histories

        def all_steps(queries):
            results = [attend_all(q) for attend_all, q in zip(heads_attend_all, split_query(queries), strict=True)]
            return join(queries, *zip(*results, strict=True))

        latent = None
        if c.latent:
            values = output(jnp.concatenate([head.values for head in heads], -1))
            latent = self._latent(states, lengths, query_size, values, remembers)
        return BoundAttention(starts, step, all_steps, c.output or concat_size, last[:, :0], remembers, latent)

    def components(self) -> dict[str, Bound]:
        """The variants it is put together from."""
        c = self.config
        bound = {"score": scores.bind(c.score), "normalizer": normalizers.bind(c.normalizer)}
        return bound | ({"window": windows.bind(c.window)} if c.window else {})

    def _heads(self, states: Float[Array, "b s h"], query_size: int, ignores_weights: bool) -> list[Head]:
        """Every head's keys and values; `ignores_weights` has one, whose weights nobody reads."""
        c = self.config
        if ignores_weights:
            return [Head("", states[..., :0], self._project_states("values", states), 0)]
        scopes = [f"head_{head}_" for head in range(c.heads)] if c.heads > 1 else [""]
        if not c.split:
            projected = [
                [self._project_states(scope + name, states) for name in ("keys", "values")] for scope in scopes
            ]
            return [Head(scope, *both, query_size) for scope, both in zip(scopes, projected, strict=True)]
        keys, values = self._project_states("keys", states), self._project_states("values", states)
        sizes = {"query": query_size, "keys": keys.shape[-1], "values": values.shape[-1]}
        if any(size % c.heads for size in sizes.values()):
            sizes_text = ", ".join(f"{size} ({name})" for name, size in sizes.items())
            raise UserError(
                f"model.attention.heads is {c.heads}, but must divide {sizes_text}; or set model.attention.split=false"
            )
        head_arguments = zip(scopes, jnp.split(keys, c.heads, -1), jnp.split(values, c.heads, -1), strict=True)
        return [Head(*arguments, query_size // c.heads) for arguments in head_arguments]

    def _project_states(self, name: str, states: Float[Array, "b s h"]) -> Float[Array, "b s o"]:
        return self._projection(name, states.shape[-1])(states)

    def _projection(self, name: str, inputs: int) -> Callable:
        """The projection that a config field of the name's last word asks for; x -> x where it is None."""
        field = name.rpartition("_")[2]
        size, bias = getattr(self.config, field), self.config.bias in (field, "both") and field != "keys"
        return Parameters(name=name)(projection, inputs, size, bias) if size else lambda x: x

    def _attend_head(
        self, bound: dict[str, Bound], head: Head, lengths: Int[Array, " b"], remembers: bool, key: Array | None
    ) -> tuple[History, Callable, Callable]:
        """One head's history before the first step, its step, and all its steps at once."""
        mask = source_mask(lengths, head.keys.shape[1])
        components = {name: _bind_component(head, name, component) for name, component in bound.items()}
        zeros = jnp.zeros_like(mask, head.values.dtype) if remembers else None
        memory = {name: component.start for name, component in components.items()}
        start = History(jnp.zeros((), jnp.int32), lengths, zeros, zeros, memory)

        def component_histories(history):
            step_history = history if key is None else history._replace(key=jax.random.fold_in(key, history.step))
            return {name: step_history._replace(memory=history.memory[name]) for name in components}

        def score(query, history):
            logits = components["score"].step(query, component_histories(history)["score"])
            return logits.astype(jnp.promote_types(logits.dtype, jnp.float32))

        def normalize(query, history, logits):
            histories, visible, reweight = component_histories(history), mask, lambda weights: weights
            if "window" in components:
                inside, reweight = components["window"].step(query, histories["window"])
                visible = mask & inside
            weights = reweight(components["normalizer"].step(logits, visible, query, histories["normalizer"]))
            return visible, weights.astype(head.values.dtype)

        def weighted_sum(weights):
            return jnp.einsum("bs,bsv->bv", weights, head.values), weights

        def step(query, history):
            logits = score(query, history)
            visible, weights = normalize(query, history, logits)
            (context, _), histories = weighted_sum(weights), component_histories(history)
            step_result = StepResult(query, visible, logits, weights, context)
            memory = {name: component.update(step_result, histories[name]) for name, component in components.items()}
            return context, weights, _next_history(history, weights, memory)

        def all_steps(queries):
            step_numbers = jnp.arange(len(queries))
            logits = map_steps(lambda q, t: score(q, start._replace(step=t)), queries, step_numbers)
            return map_steps(
                lambda q, t, e: weighted_sum(normalize(q, start._replace(step=t), e)[-1]), queries, step_numbers, logits
            )

        return start, step, all_steps

    def _latent(self, states: Array, lengths: Array, query_size: int, values: Array, remembers: bool) -> Latent:
        bound = latents.bind(self.config.latent)
        if remembers and not bound.traits.guided:
            raise UserError(
                f"model.attention.latent {str(self.config.latent)!r} takes weights at the first step only, where there "
                "is nothing to remember; choose a score, normalizer and window that do not, or latent hard or monotone"
            )
        result = Parameters(name="latent")(bound, states, query_size, lengths)
        first, prior = result if isinstance(result, Started) else (from_weights, result)
        return Latent(prior, bound.traits.chained, values, first)

    def _no_attention(self, static_input: Float[Array, "b f"], lengths: Int[Array, " b"]) -> BoundAttention:
        no_context = static_input[:, :0]

        def all_steps(queries):
            return (jnp.zeros((len(queries), *no_context.shape), no_context.dtype),) * 2

        return BoundAttention(
            (), lambda query, histories: (no_context, no_context, histories), all_steps, 0, static_input, False
        )

    def _check(self, score: Bound, ignores_weights: bool) -> None:
        """Refuses what would be without effect; `ignores_weights`: there is a latent that reads no weights."""
        c = self.config
        unweighted = ("score", "normalizer", "window", "heads", "split", "keys") if ignores_weights else ()
        for name in unweighted:
            if getattr(c, name) != getattr(config.Attention, name):
                raise UserError(f"model.attention.{name} has no effect: latent {str(c.latent)!r} reads no weights")
        if c.heads == 1 and not c.split:
            raise UserError("model.attention.split has no effect with one head; set model.attention.heads")
        for field in ("values", "output"):
            if c.bias in (field, "both") and getattr(c, field) is None:
                raise UserError(
                    f"model.attention.bias {c.bias!r} has no effect without a projection; set model.attention.{field}"
                )
        unused = () if score.traits.content else ("keys",)
        if not score.traits.attends:
            unused = [item.name for item in dataclasses.fields(c) if item.name != "score"]
        for name in unused:
            if getattr(c, name) != getattr(config.Attention, name):
                raise UserError(f"model.attention.{name} has no effect: score {str(c.score)!r} reads no {name}")

    def _reject_identical_heads(self, random: bool) -> None:
        """Heads that share all keys and values must have something of their own."""
        c, own_parameters = self.config, [name for name in self.variables.get("params", ()) if name.startswith("head_")]
        if not (c.split or own_parameters or random):
            raise UserError(
                f"model.attention.heads has no effect with split=false: score {str(c.score)!r} has no parameters, so "
                "that all heads are alike; set model.attention.keys or values, or choose dot(project=True) or general"
            )


def _bind_component(head: Head, name: str, component: Bound) -> StatefulComponent:
    result = partial(build, name, component)
    return as_stateful(Parameters(name=head.scope + name)(result, head.keys, head.query_size))


def _next_history(history: History, weights: Float[Array, "b s"], memory: dict) -> History:
    history = history._replace(step=history.step + 1, memory=memory)
    if history.weights is None:
        return history
    return history._replace(weights=weights, coverage=history.coverage + weights)
