"""One variant on random sources and queries, computed in the ways that the laws compare.

All is float64, so that differences above rounding stand out. One compiled program serves all laws that keep the shapes.
The other laws compute operation by operation, which compiles nothing that only this variant uses.
"""

import dataclasses
import functools
import types
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np

from attn_research import config
from attn_research.attention.attention import Attention, BoundAttention, max_source_length
from attn_research.attention.laws.results import CompiledRun, EagerRun, Point
from attn_research.registry import Bound

HIDDEN, QUERY = 6, 4  # sizes of states and queries; a variant that needs equal sizes gets HIDDEN twice
PADDING = 2  # padded positions behind the longest source
EAGER_STEPS = 2  # steps computed without compiling
PARAMETER_NOISE = 0.2  # standard deviation of the noise on the initial parameters, so that none is zero


class Sizes(NamedTuple):
    """The sizes of a trial. The longest source has `source` symbols."""

    rows: int
    source: int
    steps: int

    def __str__(self):
        counts = (self.rows, "row"), (self.source, "source symbol"), (self.steps, "step")
        return ", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in counts)


class Inputs(NamedTuple):
    """The inputs of a variant. Before step t, the rows of its history are put into the order `order[t]`."""

    point: Point
    lengths: Any  # [b]
    order: Any  # [t b]


class AttentionWithHistory(Attention):
    """An attention that keeps its history even if no component reads it."""

    def components(self) -> dict[str, Bound]:
        bound = Attention.components(self)
        return {
            name: b._replace(traits=types.SimpleNamespace(**vars(b.traits) | {"remembers": True}))
            for name, b in bound.items()
        }


@dataclass(frozen=True, eq=False)
class Trial:
    """One variant at given sizes; with `training`, it gets a key for its random numbers."""

    config: config.Attention
    sizes: Sizes
    training: bool = False

    @cached_property
    def components(self) -> dict[str, Bound]:
        """The variant's score, normalizer and window, by the names of their config fields."""
        return Attention(self.config).components()

    def any_trait(self, name: str) -> bool:
        """Whether any component has the trait."""
        return any(getattr(bound.traits, name, False) for bound in self.components.values())

    @property
    def leaks(self) -> bool:
        """Whether the normalizer declares that padding gets weight."""
        return self.components["normalizer"].traits.leaks

    @property
    def mass(self) -> str:
        """The declared sum of the weights of a step: one, or at most one."""
        masses = {bound.traits.mass for name, bound in self.components.items() if name != "score"}
        return "one" if masses == {"one"} else "at most one"

    @cached_property
    def lengths(self) -> np.ndarray:
        """Lengths of the rows [b]: the full length twice, a third of it, one symbol, none."""
        source = min(self.sizes.source, max_source_length(self.config.score) or self.sizes.source)
        return np.array([source, source, source // 3, 1, 0], np.int32)[: self.sizes.rows]

    @property
    def padded_length(self) -> int:
        """The padded length of a source."""
        return self.sizes.source + PADDING

    @cached_property
    def real_positions(self) -> np.ndarray:
        """True on real positions [b s]."""
        return np.arange(self.padded_length)[None] < self.lengths[:, None]

    @cached_property
    def inputs(self) -> Inputs:
        """Random inputs. The first two rows are one source with different queries; padding is zero."""
        rng = np.random.default_rng(0)
        states = rng.normal(size=(self.sizes.rows, self.padded_length, HIDDEN)) * self.real_positions[..., None]
        states[:2] = states[0]
        queries = rng.normal(size=(self.sizes.steps, self.sizes.rows, self.query_size))
        order = np.tile(np.arange(self.sizes.rows), (self.sizes.steps, 1))
        return Inputs(Point(self.params, states, queries), self.lengths, order)

    @cached_property
    def noisy_padding(self) -> np.ndarray:
        """The encoder states [b s h] with noise in padded positions."""
        states = self.inputs.point.states
        noise = 10 * np.random.default_rng(3).normal(size=states.shape)
        return np.where(self.real_positions[..., None], states, noise)

    def with_states(self, states: np.ndarray) -> Inputs:
        """Returns the inputs with other encoder states."""
        return self.inputs._replace(point=self.inputs.point._replace(states=states))

    def with_rows(self, order: np.ndarray) -> Inputs:
        """Returns the inputs with some of their rows, in the given order."""
        point, lengths, _ = self.inputs
        point = Point(point.params, point.states[order], point.queries[:, order])
        return Inputs(point, lengths[order], np.tile(np.arange(len(order)), (self.sizes.steps, 1)))

    @cached_property
    def query_size(self) -> int:
        """QUERY, unless the variant accepts only queries of the keys' size."""
        return HIDDEN if self._error(QUERY) and not self._error(HIDDEN) else QUERY

    @cached_property
    def needs_equal_sizes(self) -> str | None:
        """Why queries and keys must have one size; None if they need not."""
        return self._error(QUERY) if self.query_size == HIDDEN else None

    def _error(self, query_size: int) -> str | None:
        try:
            jax.eval_shape(lambda: self._first_step(query_size))
        except (ValueError, TypeError) as error:
            return str(error)
        return None

    def rejection(self) -> str | None:
        """Returns why the config is rejected; None if it is accepted."""
        try:
            jax.eval_shape(lambda: self._init(self.query_size)[1])
        except ValueError as error:
            return str(error)
        return None

    def _init(self, query_size: int) -> tuple[BoundAttention, Any]:
        states, lengths = jnp.zeros((self.sizes.rows, self.padded_length, HIDDEN)), jnp.asarray(self.lengths)
        key = jax.random.PRNGKey(0)
        return Attention(self.config).init_with_output(key, states, lengths, states[:, 0], query_size)

    def _first_step(self, query_size: int) -> Any:
        bound_attention, _ = self._init(query_size)
        return bound_attention.step(jnp.zeros((self.sizes.rows, query_size)), bound_attention.start)[:2]

    @cached_property
    def params(self) -> Any:
        """The initial parameters with noise."""
        rng = np.random.default_rng(1)
        _, initial = self._init(self.query_size)
        return jax.tree.map(lambda leaf: np.asarray(leaf) + PARAMETER_NOISE * rng.normal(size=leaf.shape), initial)

    def bound_attention(self, inputs: Inputs, module: type[Attention] = Attention) -> BoundAttention:
        """Returns the attention over the sources of `inputs`."""
        rngs = {"attention": jax.random.PRNGKey(2)} if self.training else None
        (params, states, queries), lengths, _ = jax.tree.map(jnp.asarray, inputs)
        bound = module(self.config).apply(params, states, lengths, states[:, 0], queries.shape[-1], rngs=rngs)
        return cast(BoundAttention, bound)  # without `mutable`, `apply` returns the output alone

    @cached_property
    def compiled_run(self) -> CompiledRun:
        """The results of the compiled program on the inputs of the trial."""
        return self.run(self.inputs)

    def run(self, inputs: Inputs) -> CompiledRun:
        """Runs the compiled program on other inputs of the same shapes."""
        return jax.device_get(self._program(inputs))

    @cached_property
    def _program(self) -> Callable:
        def value(point, lengths, order):
            bound_attention = self.bound_attention(Inputs(point, lengths, order))
            contexts, weights = _scan(bound_attention, point.queries, order)
            all_steps = None if bound_attention.remembers else bound_attention.attend_all(point.queries)
            return (contexts * functional(contexts.shape)).sum(), (contexts, weights, all_steps)

        def program(inputs):
            (total, rest), gradient = jax.value_and_grad(value, has_aux=True)(*inputs)
            return CompiledRun(*rest, total, gradient)

        return jax.jit(program)

    @cached_property
    def eager_run(self) -> EagerRun:
        """The results of the first steps on the inputs of the trial."""
        return self.run_eagerly(self.inputs)

    def run_eagerly(self, inputs: Inputs, module: type[Attention] = Attention) -> EagerRun:
        """Computes the first steps, one after the other, without compiling."""
        bound_attention = self.bound_attention(inputs, module)
        histories, results = bound_attention.start, []
        for query in jnp.asarray(inputs.point.queries[:EAGER_STEPS]):
            context, weights, histories = bound_attention.step(query, histories)
            results.append((context, weights))
        contexts, weights = (jnp.stack(one) for one in zip(*results, strict=True))
        return EagerRun(contexts, weights, (bound_attention.start, histories))

    def replace(self, **changes: Any) -> "Trial":
        """Returns the same trial of another variant; `changes` are fields of the attention config."""
        return get_trial(dataclasses.replace(self.config, **changes), self.sizes, self.training)

    def in_training(self) -> "Trial":
        """Returns the same trial with a key for random numbers."""
        return get_trial(self.config, self.sizes, training=True)


@functools.cache
def get_trial(attention: config.Attention, sizes: Sizes, training: bool = False) -> Trial:
    """Returns the trial of a variant; one object per variant and sizes, so that the laws share its results."""
    return Trial(attention, sizes, training)


def _scan(bound_attention: BoundAttention, queries: Any, orders: Any) -> tuple[Any, Any]:
    def step(histories, x):
        query, order = x
        histories = jax.tree.map(lambda leaf: leaf[order] if leaf.ndim else leaf, histories)
        context, weights, histories = bound_attention.step(query, histories)
        return histories, (context, weights)

    return jax.lax.scan(step, bound_attention.start, (queries, orders))[1]


def functional(shape: tuple[int, int, int]) -> Any:
    """Returns the coefficients [t 1 v] of a linear function of the contexts [t b v]."""
    t, _, v = shape
    return jnp.cos(3.0 * jnp.arange(t * v)).reshape(t, 1, v)
