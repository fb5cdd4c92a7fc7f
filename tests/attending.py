"""Runs a normaliser or a window without Flax, as attention does."""

import functools

import jax
import jax.numpy as jnp

from attn_research.attention.history import History, Step, remembering
from attn_research.attention.normalizers import normalizers
from attn_research.registry import Spec


def made(spec, keys, query_size=2, registry=normalizers, **weights):
    """The piece with its parameters from `weights`, else as they start."""

    def param(name, init, shape):
        value = jnp.asarray(weights[name]) if name in weights else init(jax.random.PRNGKey(len(name)), shape)
        assert value.shape == shape, name
        return value

    return remembering(registry.bind(Spec(spec))(param, keys, query_size))


def first_history(start, lengths, size, key=None):
    nothing = jnp.zeros((len(lengths), size))
    return History(jnp.zeros((), jnp.int32), jnp.asarray(lengths), nothing, nothing, start, key)


def one_step(spec, logits, visible, key=None, **weights):
    """Weights of a first step."""
    return _one_step(spec, jnp.asarray(logits), jnp.asarray(visible), key, weights)


@functools.partial(jax.jit, static_argnums=0)
def _one_step(spec, logits, visible, key, weights):
    piece = made(spec, jnp.ones((*logits.shape, 2)), **weights)
    history = first_history(piece.start, visible.sum(-1), logits.shape[1], key)
    return piece.step(logits, visible, jnp.ones((len(logits), 2)), history)


def walk(spec, logits, visible, keys, queries, **weights):
    """Weights [t b s] of all steps, from logits [t b s] and queries [t b q]."""
    return _walk(spec, *map(jnp.asarray, (logits, visible, keys, queries)), weights)


@functools.partial(jax.jit, static_argnums=0)
def _walk(spec, logits, visible, keys, queries, weights):
    piece = made(spec, keys, queries.shape[-1], **weights)

    def step(history, now):
        row, query = now
        found = piece.step(row, visible, query, history)
        done = Step(query, visible, row, found, jnp.einsum("bs,bsk->bk", found, keys))
        memory = piece.update(done, history)
        coverage = history.coverage + found
        return history._replace(step=history.step + 1, weights=found, coverage=coverage, memory=memory), found

    start = first_history(piece.start, visible.sum(-1), keys.shape[1])
    return jax.lax.scan(step, start, (logits, queries))[1]
