"""`map_steps` runs wide steps one after another and others as one product, with the results of `jax.vmap`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attn_research.attention.attention import Attention
from attn_research.attention.map_steps import map_steps
from attn_research.config import Attention as Config
from attn_research.registry import Spec

B, S, A = 3, 17, 40
rng = np.random.default_rng(0)
keys, v = jnp.asarray(rng.normal(size=(B, S, A))), jnp.asarray(rng.normal(size=A))


def wide(query, number):
    return jnp.tanh(keys + query[:, None] * number) @ v


def narrow(query, number):
    return jnp.einsum("bsa,ba->bs", jnp.tanh(keys), query * number)


@pytest.mark.parametrize(("step", "loops"), [(wide, True), (narrow, False)])
def test_values_and_gradients_equal_those_of_vmap(step, loops):
    queries, numbers = jnp.asarray(rng.normal(size=(5, B, A))), jnp.arange(5.0)
    together = lambda queries: map_steps(step, queries, numbers)  # noqa: E731
    mapped = lambda queries: jax.vmap(step)(queries, numbers)  # noqa: E731
    assert ("scan" in str(jax.make_jaxpr(together)(queries))) == loops
    np.testing.assert_allclose(together(queries), mapped(queries), rtol=1e-5, atol=1e-5)
    gradients = [jax.jit(jax.grad(lambda q, f=f: (f(q) ** 2).sum()))(queries) for f in (together, mapped)]
    np.testing.assert_allclose(*gradients, rtol=2e-5, atol=1e-5)


def memory(spec: str, heads: int, steps: int) -> int:
    """Returns the temporary memory in bytes of the gradient of all steps."""
    attention = Attention(Config(Spec(spec), heads=heads))
    states, lengths, queries = jnp.zeros((2, 32, 64)), jnp.full(2, 32), jnp.zeros((steps, 2, 64))
    arguments = states, lengths, states[:, 0], 64
    params = jax.eval_shape(lambda: attention.init(jax.random.PRNGKey(0), *arguments))

    def loss(params, queries):
        return (attention.apply(params, *arguments).attend_all(queries)[0] ** 2).sum()

    compiled = jax.jit(jax.grad(loss)).lower(params, queries).compile()
    return compiled.memory_analysis().temp_size_in_bytes


@pytest.mark.parametrize(("spec", "heads"), [("concat", 1), ("concat", 2), ('relative(score="concat")', 1)])
def test_a_step_stores_only_weights_and_vectors(spec, heads):
    """A step may store a few rows of queries, contexts and weights, but no array of units times source."""
    more = (memory(spec, heads, 40) - memory(spec, heads, 8)) / 32
    assert more <= 4 * 2 * (8 * 64 + 8 * heads * 32)
    assert more < 4 * 2 * 32 * 64
