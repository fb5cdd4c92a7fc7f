"""Scores, normalizers and windows with common mistakes. A comment `wrong` marks the line of each."""

import jax
import jax.numpy as jnp
import numpy as np

from attn_research.attention.history import StatefulComponent
from attn_research.attention.scores import cosine

init = jax.nn.initializers.normal()


def general(param, keys, query_size):
    W = param("W", init, (keys.shape[-1], query_size))
    return keys @ W


def no_positions(param, keys, query_size):
    k = general(param, keys, query_size)
    return lambda query, history: jnp.einsum("bsk,bk->b", k, query)  # wrong


def swapped_axes(param, keys, query_size):
    k = general(param, keys, query_size)
    return lambda query, history: jnp.einsum("bsk,bk->sb", k, query)  # wrong


def no_sum(param, keys, query_size):
    k = general(param, keys, query_size)

    def step(query, history):
        return k.sum(1) * query  # wrong

    return step


def last_axis(param, keys, query_size):
    k, v = general(param, keys, query_size), param("v", init, (query_size, 1))

    def step(query, history):
        hidden = jnp.tanh(k + query[:, None])
        return hidden @ v  # wrong

    return step


def late_param(param, keys, query_size):
    def step(query, history):
        W = param("W", init, (keys.shape[-1], query_size))  # wrong
        return jnp.einsum("bsk,bk->bs", keys @ W, query)

    return step


def no_default(param, keys, query_size, temperature):  # wrong
    k = general(param, keys, query_size)
    return lambda query, history: jnp.einsum("bsk,bk->bs", k, query) / temperature


def numpy_on_arrays(param, keys, query_size):
    k = np.tanh(general(param, keys, query_size))  # wrong
    return lambda query, history: jnp.einsum("bsk,bk->bs", k, query)


def python_if(param, keys, query_size):
    k = general(param, keys, query_size)

    def step(query, history):
        if query.sum() > 0:  # wrong
            query = -query
        return jnp.einsum("bsk,bk->bs", k, query)

    return step


def python_float(param, keys, query_size):
    k = general(param, keys, query_size)
    return lambda query, history: jnp.einsum("bsk,bk->bs", k, query) * float(query.max())  # wrong


def norm_of_zero(param, keys, query_size):
    k = general(param, keys, query_size)
    size = jnp.sqrt((keys**2).sum(-1))  # wrong
    return lambda query, history: jnp.einsum("bsk,bk->bs", k, query) / (1 + size)


def log_of_negative(param, keys, query_size):
    k = general(param, keys, query_size)
    return lambda query, history: jnp.log(jnp.einsum("bsk,bk->bs", k, query))  # wrong


def unknown_name(param, keys, query_size):
    k = general(param, kesy, query_size)  # noqa: F821  wrong
    return lambda query, history: jnp.einsum("bsk,bk->bs", k, query)


def unknown_function(param, keys, query_size):
    k = general(param, keys, query_size)
    return lambda query, history: jnp.eisnum("bsk,bk->bs", k, query)  # wrong


def unknown_field(param, keys, query_size):
    k = general(param, keys, query_size)
    return lambda query, history: jnp.einsum("bsk,bk->bs", k, query) + history.lenghts[:, None]  # wrong


def no_mask(param, keys, query_size):
    k = general(param, keys, query_size)

    def step(query, history):
        logits = jnp.einsum("bsk,bk->bs", k, query)
        return 3 * jax.nn.softmax(logits)  # wrong

    return step


def no_mask_of_keys(param, keys, query_size):
    mean = keys.mean(1, keepdims=True)  # wrong
    k = general(param, jnp.tanh(keys * mean), query_size)
    return lambda query, history: jnp.einsum("bsk,bk->bs", k, query)


def no_return(param, keys, query_size):  # wrong
    k = general(param, keys, query_size)
    lambda query, history: jnp.einsum("bsk,bk->bs", k, query)


def logits_at_once(param, keys, query_size):
    return general(param, keys, query_size).sum(-1)  # wrong


def too_few(keys, query_size):  # wrong
    return lambda query, history: jnp.einsum("bsk,bk->bs", keys, query)


def no_history(param, keys, query_size):
    k = general(param, keys, query_size)
    return lambda query: jnp.einsum("bsk,bk->bs", k, query)  # wrong


def other_sizes(param, keys, query_size):
    W = param("W", init, (query_size, 12))
    return lambda query, history: jnp.einsum("bsk,bk->bs", keys, query @ W)  # wrong


def equal_sizes(param, keys, query_size):
    return lambda query, history: jnp.einsum("bsk,bk->bs", keys, query)  # wrong


def centered(param, keys, query_size):
    k = general(param, keys - keys.mean(1, keepdims=True), query_size)  # wrong
    return lambda query, history: jnp.einsum("bsk,bk->bs", k, query)


def by_row(param, keys, query_size):
    return lambda logits, visible, query, history: logits.max(-1)  # wrong


def mask_alone(param, keys, query_size):
    return lambda query, history: jnp.ones(keys.shape[:2], bool)  # wrong


def forgetful(param, keys, query_size):
    k = general(param, keys, query_size)

    def update(result, history):
        weights = result.weights
        return history.memory + weights + wieghts  # noqa: F821  wrong

    return StatefulComponent(
        jnp.zeros(keys.shape[:2]), lambda query, history: jnp.einsum("bsk,bk->bs", k, query), update
    )


def through_a_built_in(param, keys, query_size):
    W = param("W", init, (keys.shape[-1], query_size + 1))
    return cosine(param, keys @ W, query_size)  # wrong
