"""The additive score with all queries known, forward and backward: the project's own, and written as a broadcast."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from attn_research import config
from attn_research.attention.attention import Attention
from attn_research.registry import Spec
from attn_research.runs.compilation_cache import enable_compilation_cache
from benchmarks.question import PreparedSide

LIMIT = 4 * 2**30  # bytes; what would need more is compiled, but not run


def ours(directory: Path, batch: int, length: int, hidden: int) -> PreparedSide:
    """`BoundAttention.all_steps` of the attention module."""
    states, lengths, queries = _inputs(batch, length, hidden)
    module = Attention(config.Attention(score=Spec("concat")))
    params = module.init(jax.random.PRNGKey(0), states, lengths, states[:, 0], hidden)

    def loss(params, states, queries):
        contexts, _ = module.apply(params, states, lengths, states[:, 0], hidden).all_steps(queries)
        return (contexts * queries).sum()

    return _prepare(loss, params, states, queries)


def broadcast(directory: Path, batch: int, length: int, hidden: int) -> PreparedSide:
    """One array [b t s a] for all pairs of a query and a key."""
    states, _, queries = _inputs(batch, length, hidden)
    W_q, W_k = jax.random.normal(jax.random.PRNGKey(0), (2, hidden, hidden)) * hidden**-0.5

    def loss(params, states, queries):
        W_q, W_k, v = params
        added = jnp.tanh((states @ W_k)[:, None] + (queries @ W_q).swapaxes(0, 1)[:, :, None])
        contexts = jax.nn.softmax(added @ v) @ states
        return (contexts * queries.swapaxes(0, 1)).sum()

    return _prepare(loss, (W_q, W_k, W_q[0]), states, queries)


def _inputs(batch: int, length: int, hidden: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """States [b s h], lengths [b] and queries [t b h]."""
    enable_compilation_cache()
    states, queries = jax.random.split(jax.random.PRNGKey(1))
    normal = jax.random.normal
    return (
        normal(states, (batch, length, hidden)),
        jnp.full(batch, length),
        normal(queries, (length, batch, hidden)),
    )


def _prepare(loss: Callable, *arguments: Any) -> PreparedSide:
    compiled = jax.jit(jax.grad(loss, argnums=(0, 1, 2))).lower(*arguments).compile()
    size = compiled.memory_analysis().temp_size_in_bytes
    run = None if size > LIMIT else lambda: jax.block_until_ready(compiled(*arguments))
    return PreparedSide(run, {"bytes": size})
