"""What do long sources cost under the additive score? With all queries at once, its hidden layer is [b t s a]."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from attn_research import config
from attn_research.attention.attention import Attention
from attn_research.registry import Spec
from attn_research.runs.compilation_cache import enable_compilation_cache
from attn_research.runs.environment import FAST_ENV
from benchmarks.questions import OURS, PreparedSide, Question, SideSpec
from benchmarks.tables import number, timing

HIDDEN = 512
SIZES = {16: 64, 50: 32, 100: 16, 200: 8, 500: 2, 1000: 1}  # length -> batch
LIMIT = 4 * 2**30  # bytes of temporary memory; a program that needs more is compiled, but not run


def rows(full: bool) -> dict[str, dict[str, SideSpec]]:
    """One row per length."""
    return {f"T = S = {length}, B = {SIZES[length]}": _sides(length) for length in (SIZES if full else (16, 200))}


def _sides(length: int) -> dict[str, SideSpec]:
    arguments = {"batch": SIZES[length], "length": length, "hidden": HIDDEN}
    return {
        OURS: SideSpec("benchmarks.questions.additive:ours", arguments, environment=FAST_ENV),
        "one broadcast": SideSpec("benchmarks.questions.additive:broadcast", arguments),
    }


def ours(directory: Path, batch: int, length: int, hidden: int) -> PreparedSide:
    """Forward and backward through `BoundAttention.attend_all` of the attention module."""
    states, lengths, queries = _inputs(batch, length, hidden)
    module = Attention(config.Attention(score=Spec("concat")))
    params = module.init(jax.random.PRNGKey(0), states, lengths, states[:, 0], hidden)

    def loss(params, states, queries):
        contexts, _ = module.apply(params, states, lengths, states[:, 0], hidden).attend_all(queries)
        return (contexts * queries).sum()

    return _prepare(loss, params, states, queries)


def broadcast(directory: Path, batch: int, length: int, hidden: int) -> PreparedSide:
    """Forward and backward through one array [b t s a] for all pairs of a query and a key."""
    states, _, queries = _inputs(batch, length, hidden)
    W_q, W_k = jax.random.normal(jax.random.PRNGKey(0), (2, hidden, hidden)) * hidden**-0.5

    def loss(params, states, queries):
        W_q, W_k, v = params
        hidden_layer = jnp.tanh((states @ W_k)[:, None] + (queries @ W_q).swapaxes(0, 1)[:, :, None])
        contexts = jax.nn.softmax(hidden_layer @ v) @ states
        return (contexts * queries.swapaxes(0, 1)).sum()

    return _prepare(loss, (W_q, W_k, W_q[0]), states, queries)


def _inputs(batch: int, length: int, hidden: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Returns states [b s h], lengths [b] and queries [t b h]."""
    enable_compilation_cache()
    states_key, queries_key = jax.random.split(jax.random.PRNGKey(1))
    states = jax.random.normal(states_key, (batch, length, hidden))
    return states, jnp.full(batch, length), jax.random.normal(queries_key, (length, batch, hidden))


def _prepare(loss: Callable, *arguments: Any) -> PreparedSide:
    compiled = jax.jit(jax.grad(loss, argnums=(0, 1, 2))).lower(*arguments).compile()
    size = compiled.memory_analysis().temp_size_in_bytes
    run = None if size > LIMIT else lambda: jax.block_until_ready(compiled(*arguments))
    return PreparedSide(run, {"bytes": size})


def table(record: Mapping[str, Any]) -> str:
    """Returns a table of times and temporary memory."""
    title = f"Additive attention, all queries at once, forward and backward, {HIDDEN} units"
    return timing(record, title, {"temporary memory, MiB": lambda entry, _: number(entry.facts["bytes"] / 2**20)})


question = Question(rows, table)
