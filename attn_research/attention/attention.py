"""Attention: window, score, normalizer and weighted sum, put together once for every variant."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int

from attn_research import config
from attn_research.attention.bound import BoundAttention, Head, NoAttention
from attn_research.attention.guard import build
from attn_research.attention.history import History, StatefulComponent, as_stateful, source_mask
from attn_research.attention.latent import Latent, PriorWithStart, from_weights, latents
from attn_research.attention.normalizers import normalizers
from attn_research.attention.scores import scores
from attn_research.attention.windows import windows
from attn_research.errors import UserError
from attn_research.registry import Bound, Spec


class Parameters(nn.Module):
    """Calls a function with its own parameters: `Parameters(name="score")(general, keys, query_size)`."""

    @nn.compact
    def __call__(self, function: Callable | Bound, *args: Any) -> Any:
        return function(self.param, *args)


def projection(param: Callable, inputs: int, outputs: int, bias: bool) -> Callable:
    """Returns x -> x W [+ b]."""
    W = param("W", nn.initializers.glorot_uniform(), (inputs, outputs))
    b = param("b", nn.initializers.zeros, (outputs,)) if bias else None
    return lambda x: x @ W if b is None else x @ W + jnp.broadcast_to(b, (*x.shape[:-1], outputs))


class HeadInput(NamedTuple):
    """The keys and values of one head."""

    scope: str  # prefix of its parameters' names
    keys: Float[Array, "b s k"]
    values: Float[Array, "b s v"]
    query_size: int


def max_source_length(score: Spec) -> int | None:
    """Returns the longest source that a score allows, or None if it allows any."""
    bound = scores.bind(score)
    return bound.hyper[bound.traits.limit] if bound.traits.limit else None


class Attention(nn.Module):
    """Attends to the encoder states: weights = normalize_j(score(k_j, q)), context = sum_j weights_j v_j."""

    config: config.Attention

    @nn.compact
    def __call__(
        self, states: Float[Array, "b s h"], lengths: Int[Array, " b"], last: Float[Array, "b h"], query_size: int
    ) -> BoundAttention:
        """Binds the attention to a batch of sources. In training it takes the random stream `attention`.

        Args:
          states: of the encoder; keys and values are projections of them.
          lengths: real source lengths; positions from there on are padding.
          last: the encoder's last state, which score `none` reads in place of the states.
          query_size: q of the queries [b q] to come.

        Raises:
          UserError: a config field has no effect, or does not fit the sizes.
        """
        c = self.config
        bound = self.components()
        ignores_weights = c.latent is not None and not latents.bind(c.latent).traits.weighted
        self._check(bound["score"], ignores_weights)
        if not bound["score"].traits.attends:
            return _no_attention(Parameters(name="score")(bound["score"], last, query_size))
        remembers, random = (any(getattr(b.traits, t) for b in bound.values()) for t in ("remembers", "random"))
        inputs = self._head_inputs(states, query_size, ignores_weights)
        keys: Iterable[Array | None] = [None] * len(inputs)
        if random and self.has_rng("attention"):
            keys = jax.random.split(self.make_rng("attention"), len(inputs))
        heads = tuple(
            self._bind_head(bound, one, lengths, remembers, key) for one, key in zip(inputs, keys, strict=True)
        )
        self._reject_identical_heads(random)
        concat_size = sum(head.values.shape[-1] for head in heads)
        output = self._projection("output", concat_size)
        return BoundAttention(
            heads=heads,
            split=c.split,
            ignores_weights=ignores_weights,
            output=output,
            context_size=c.output or concat_size,
            static_input=last[:, :0],
            remembers=remembers,
            latent=self._bind_latent(states, lengths, query_size, heads, output, remembers),
        )

    def components(self) -> dict[str, Bound]:
        """Returns the score, the normalizer and, if there is one, the window, by their config fields."""
        c = self.config
        bound = {"score": scores.bind(c.score), "normalizer": normalizers.bind(c.normalizer)}
        return bound | ({"window": windows.bind(c.window)} if c.window else {})

    def _head_inputs(self, states: Float[Array, "b s h"], query_size: int, ignores_weights: bool) -> list[HeadInput]:
        """Returns every head's keys and values. If a latent ignores the weights, there is one head without keys."""
        c = self.config
        if ignores_weights:
            return [HeadInput("", states[..., :0], self._project_states("values", states), 0)]
        scopes = [f"head_{head}_" for head in range(c.heads)] if c.heads > 1 else [""]
        if not c.split:
            projected = [
                (self._project_states(scope + "keys", states), self._project_states(scope + "values", states))
                for scope in scopes
            ]
            return [HeadInput(scope, *both, query_size) for scope, both in zip(scopes, projected, strict=True)]
        keys, values = self._project_states("keys", states), self._project_states("values", states)
        sizes = {"query": query_size, "keys": keys.shape[-1], "values": values.shape[-1]}
        if any(size % c.heads for size in sizes.values()):
            sizes_text = ", ".join(f"{size} ({name})" for name, size in sizes.items())
            raise UserError(
                f"model.attention.heads is {c.heads}, but must divide {sizes_text}; or set model.attention.split=false"
            )
        head_arguments = zip(scopes, jnp.split(keys, c.heads, -1), jnp.split(values, c.heads, -1), strict=True)
        return [HeadInput(*arguments, query_size // c.heads) for arguments in head_arguments]

    def _project_states(self, name: str, states: Float[Array, "b s h"]) -> Float[Array, "b s o"]:
        return self._projection(name, states.shape[-1])(states)

    def _projection(self, name: str, inputs: int) -> Callable:
        """Returns the projection that the config field of the name's last word sets, or x -> x if it is None."""
        field = name.rpartition("_")[2]
        size, bias = getattr(self.config, field), self.config.bias in (field, "both") and field != "keys"
        return Parameters(name=name)(projection, inputs, size, bias) if size else _identity

    def _bind_head(
        self, bound: dict[str, Bound], inputs: HeadInput, lengths: Int[Array, " b"], remembers: bool, key: Array | None
    ) -> Head:
        mask = source_mask(lengths, inputs.keys.shape[1])
        components = {name: _bind_component(inputs, name, component) for name, component in bound.items()}
        zeros = jnp.zeros_like(mask, inputs.values.dtype) if remembers else None
        memory = {name: component.start for name, component in components.items()}
        start = History(jnp.zeros((), jnp.int32), lengths, zeros, zeros, memory)
        return Head(components, inputs.values, mask, start, key)

    def _bind_latent(
        self, states: Array, lengths: Array, query_size: int, heads: tuple[Head, ...], output: Callable, remembers: bool
    ) -> Latent | None:
        spec = self.config.latent
        if spec is None:
            return None
        bound = latents.bind(spec)
        if remembers and not bound.traits.guided:
            raise UserError(
                f"model.attention.latent {str(spec)!r} reads weights at the first step only, where there is no earlier "
                "step; choose a score, normalizer and window that read none, or latent hard or monotone"
            )
        result = Parameters(name="latent")(bound, states, query_size, lengths)
        first, prior = result if isinstance(result, PriorWithStart) else (from_weights, result)
        values = output(jnp.concatenate([head.values for head in heads], -1))
        return Latent(prior, bound.traits.chained, values, first)

    def _check(self, score: Bound, ignores_weights: bool) -> None:
        """Rejects fields without effect. `ignores_weights`: there is a latent that does not read the weights."""
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
        unused: Sequence[str] = () if score.traits.content else ("keys",)
        if not score.traits.attends:
            unused = [item.name for item in dataclasses.fields(c) if item.name != "score"]
        for name in unused:
            if getattr(c, name) != getattr(config.Attention, name):
                raise UserError(f"model.attention.{name} has no effect: score {str(c.score)!r} reads no {name}")

    def _reject_identical_heads(self, random: bool) -> None:
        """Rejects heads that share all keys and values and have neither parameters nor random numbers of their own."""
        c, own_parameters = self.config, [name for name in self.variables.get("params", ()) if name.startswith("head_")]
        if not (c.split or own_parameters or random):
            raise UserError(
                f"model.attention.heads has no effect with split=false: score {str(c.score)!r} has no parameters, so "
                "all heads are equal; set model.attention.keys or values, or choose dot(project=True) or general"
            )


def _no_attention(static_input: Float[Array, "b f"]) -> NoAttention:
    return NoAttention(
        heads=(),
        split=False,
        ignores_weights=True,
        output=_identity,
        context_size=0,
        static_input=static_input,
        remembers=False,
        latent=None,
        empty=static_input[:, :0],
    )


def _bind_component(inputs: HeadInput, name: str, component: Bound) -> StatefulComponent:
    function = partial(build, name, component)
    return as_stateful(Parameters(name=inputs.scope + name)(function, inputs.keys, inputs.query_size))


def _identity(x: Array) -> Array:
    return x
