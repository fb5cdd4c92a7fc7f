"""Scores and normalizers that break one law each. The last two normalizers and the window break none."""

import jax
import jax.numpy as jnp

from attn_research.attention.history import StatefulComponent
from attn_research.attention.scores import general


def max_over_padding(param, keys, query_size):
    return general(param, keys - keys.max(1, keepdims=True) * keys, query_size)


def centered_over_batch(param, keys, query_size):
    return general(param, keys - keys.mean(0, keepdims=True), query_size)


def scaled_by_padded_length(param, keys, query_size):
    score = general(param, keys, query_size)
    return lambda query, history: score(query, history) * keys.shape[1]


def undeclared_coverage(param, keys, query_size):
    score = general(param, keys, query_size)
    return lambda query, history: score(query, history) - history.coverage


def silent_coverage(param, keys, query_size):
    score = general(param, keys, query_size)
    return lambda query, history: score(query, history) - (0 if history.coverage is None else history.coverage)


def undeclared_memory(param, keys, query_size):
    score = general(param, keys, query_size)
    return StatefulComponent(
        jnp.zeros(keys.shape[:2], keys.dtype),
        lambda query, history: score(query, history) - history.memory,
        lambda step_result, history: history.memory + step_result.weights,
    )


def memory_of_the_batch(param, keys, query_size):
    score = general(param, keys, query_size)
    return StatefulComponent(
        jnp.zeros((), keys.dtype),
        lambda query, history: score(query, history) + history.memory * keys.sum(-1),
        lambda step_result, history: history.memory + step_result.query.sum(),
    )


memory_of_the_batch.traits = {"remembers": True}


def counts_its_calls(param, keys, query_size):
    score, calls = general(param, keys, query_size), []

    def step(query, history):
        calls.append(1)
        return len(calls) * score(query, history)

    return step


def stops_the_gradient(param, keys, query_size):
    score = general(param, keys, query_size)
    return lambda query, history: score(jax.lax.stop_gradient(query), history)


def not_differentiable(param, keys, query_size):
    score = general(param, keys, query_size)

    def step(query, history):
        return jax.lax.while_loop(lambda x: (x**2).sum() > 1e3, lambda x: x / 2, score(query, history))

    return step


def nan_on_padding(param, keys, query_size):
    return general(param, keys / jnp.linalg.norm(keys, axis=-1, keepdims=True), query_size)


def inert_option(param, keys, query_size, sharpness: float = 1.0):
    return general(param, keys, query_size)


def inert_parameter(param, keys, query_size):
    b = param("b", jax.nn.initializers.normal(), ())
    score = general(param, keys, query_size)
    return lambda query, history: score(query, history) + b


def adds_positions(param, keys, query_size):
    score = general(param, keys, query_size)
    return lambda query, history: score(query, history) + jnp.arange(keys.shape[1])[None] / 9


def claims_positions(param, keys, query_size):
    return general(param, keys, query_size)


claims_positions.traits = {"positional": True}


def loses_precision(param, keys, query_size):
    score = general(param, keys, query_size)
    return lambda query, history: (score(query, history) + 1e3) - 1e3


def unnormalized(param, keys, query_size):
    return lambda logits, visible, query, history: jnp.where(visible, jax.nn.sigmoid(logits), 0)


def leaks(param, keys, query_size):
    def weights(logits, visible, query, history):
        masked = jax.nn.softmax(logits, where=visible)
        return masked + jnp.where(visible.any(-1, keepdims=True), 1e-7 * ~visible, 0)

    return weights


def negative(param, keys, query_size):
    def weights(logits, visible, query, history):
        real = jnp.maximum(visible.sum(-1, keepdims=True), 1)
        return 2 * jax.nn.softmax(logits, where=visible) - visible / real

    return weights


def depends_on_vmap(param, keys, query_size):
    """Behaves differently inside a vmap, which it detects by the type of the query."""

    def weights(logits, visible, query, history):
        mapped = type(query).__name__ == "BatchTracer"
        return jax.nn.softmax(logits * (2 if mapped else 1), where=visible)

    return weights


def sharp(param, keys, query_size, beta: float = 2.0):
    """softmax(beta e)."""
    return lambda logits, visible, query, history: jax.nn.softmax(beta * logits, where=visible)


def noisy(param, keys, query_size, scale: float = 1.0):
    """softmax(e + scale * noise) in training."""

    def weights(logits, visible, query, history):
        if history.key is not None:
            logits = logits + scale * jax.random.normal(history.key, logits.T.shape, logits.dtype).T
        return jax.nn.softmax(logits, where=visible)

    return weights


noisy.traits = {"random": True}


def first_positions(param, keys, query_size, size: int = 5):
    """The first `size` source positions."""
    visible = jnp.broadcast_to(jnp.arange(keys.shape[1])[None] < size, keys.shape[:2])
    return lambda query, history: (visible, lambda weights: weights)
