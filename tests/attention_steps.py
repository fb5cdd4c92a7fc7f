"""Runs normalizers and windows step by step as attention does, without Flax; a softmax in plain NumPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from attn_research.attention.history import History, StepResult, as_stateful
from attn_research.attention.normalizers import normalizers
from attn_research.registry import Spec


def close(a, b, atol=1e-6):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=atol)


def softmax(z, visible=True):
    e = np.where(visible, np.exp(z - z.max(-1, keepdims=True)), 0)
    return e / np.maximum(e.sum(-1, keepdims=True), 1e-30)


def bind_component(spec, keys, query_size=2, registry=normalizers, **weights):
    """Returns the component with parameters from `weights`; the others have their initial values."""

    def param(name, init, shape):
        value = jnp.asarray(weights[name]) if name in weights else init(jax.random.PRNGKey(len(name)), shape)
        assert value.shape == shape, name
        return value

    return as_stateful(registry.bind(Spec(spec))(param, keys, query_size))


def first_history(start, lengths, size, key=None):
    zeros = jnp.zeros((len(lengths), size))
    return History(jnp.zeros((), jnp.int32), jnp.asarray(lengths), zeros, zeros, start, key)


def one_step(spec, logits, visible, key=None, **weights):
    """Returns the weights [b s] of a first step."""
    return _one_step(spec, jnp.asarray(logits), jnp.asarray(visible), key, weights)


@functools.partial(jax.jit, static_argnums=0)
def _one_step(spec, logits, visible, key, weights):
    component = bind_component(spec, jnp.ones((*logits.shape, 2)), **weights)
    history = first_history(component.start, visible.sum(-1), logits.shape[1], key)
    return component.step(logits, visible, jnp.ones((len(logits), 2)), history)


def run_steps(spec, logits, visible, keys, queries, **weights):
    """Returns the weights [t b s] of all steps, from logits [t b s] and queries [t b q]."""
    return _run_steps(spec, *map(jnp.asarray, (logits, visible, keys, queries)), weights)


@functools.partial(jax.jit, static_argnums=0)
def _run_steps(spec, logits, visible, keys, queries, weights):
    component = bind_component(spec, keys, queries.shape[-1], **weights)

    def step(history, step_input):
        row, query = step_input
        results = component.step(row, visible, query, history)
        step_result = StepResult(query, visible, row, results, jnp.einsum("bs,bsk->bk", results, keys))
        memory = component.update(step_result, history)
        coverage = history.coverage + results
        return history._replace(step=history.step + 1, weights=results, coverage=coverage, memory=memory), results

    start = first_history(component.start, visible.sum(-1), keys.shape[1])
    return jax.lax.scan(step, start, (logits, queries))[1]
