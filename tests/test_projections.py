"""Projections of values and of concatenated contexts, with and without biases, compared with plain NumPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from attention_steps import softmax

from attn_research.attention.attention import Attention
from attn_research.config import Attention as Config
from attn_research.errors import UserError
from attn_research.registry import Spec

rng = np.random.default_rng(0)
LENGTHS = np.array([5, 2, 1])
STATES, QUERIES = rng.normal(size=(3, 5, 4)), rng.normal(size=(2, 3, 3))
# The last case is PyTorch's multi-head attention without biases of query and keys, which `dot` has.
CASES = {
    "values": {"values": 6, "bias": "values"},  # SpeechBrain's KeyValueAttention
    "output": {"output": 6, "bias": "output"},  # SpeechBrain's ContentBasedAttention
    "one of both": {"values": 6, "output": 5, "bias": "values"},
    "none of both": {"values": 6, "output": 5},
    "heads": {"values": 6, "output": 5, "bias": "both", "heads": 3, "split": False},
}


def affine(p, x):
    return x @ p["W"] + p.get("b", 0)


def plain(p, config):
    """Returns contexts [t b v], computed for one sentence and step at a time."""
    scopes = [f"head_{head}_" for head in range(config.heads)] if config.heads > 1 else [""]
    contexts = np.empty((len(QUERIES), len(LENGTHS)), object)
    for t, b in np.ndindex(contexts.shape):
        h = STATES[b, : LENGTHS[b]]
        heads = []
        for scope in scopes:
            a = softmax(h @ p[f"{scope}score"]["W"] @ QUERIES[t, b])
            heads.append(a @ (affine(p[f"{scope}values"], h) if config.values else h))
        joined = np.concatenate(heads)
        contexts[t, b] = affine(p["output"], joined) if config.output else joined
    return np.array(contexts.tolist())


@functools.cache
def case(name):
    attention = Attention(Config(score=Spec("general"), **CASES[name]))
    init = functools.partial(attention.init, query_size=3)
    states = jnp.asarray(STATES, jnp.float32)
    shapes = jax.eval_shape(init, jax.random.PRNGKey(0), states, jnp.asarray(LENGTHS), states[:, 0])
    return attention, jax.tree.map(lambda x: np.random.default_rng(x.size).normal(size=x.shape), shapes["params"])


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
@pytest.mark.parametrize("name", CASES)
def test_projections_with_a_bias_are_affine(name, dtype, tolerance):
    attention, params = case(name)
    with jax.enable_x64(dtype == np.float64):
        states, queries, cast = jax.tree.map(lambda x: jnp.asarray(x, dtype), (STATES, QUERIES, params))
        bound_attention = attention.apply({"params": cast}, states, jnp.asarray(LENGTHS), states[:, 0], 3)
        contexts, _ = bound_attention.attend_all(queries)
        first, _, _ = bound_attention.step(queries[0], bound_attention.start)
    assert contexts.dtype == dtype
    np.testing.assert_allclose(contexts, plain(params, attention.config), atol=10 * tolerance, rtol=0)
    np.testing.assert_allclose(first, contexts[0], atol=tolerance, rtol=0)


def test_a_bias_starts_at_zero_and_changes_no_other_parameter():
    with_bias, without = (
        Attention(Config(score=Spec("general"), values=6, output=5, bias=bias)).init(
            jax.random.PRNGKey(0), jnp.asarray(STATES, jnp.float32), jnp.asarray(LENGTHS), jnp.zeros((3, 4)), 3
        )["params"]
        for bias in ("both", "none")
    )
    assert not with_bias["values"].pop("b").any() and not with_bias["output"].pop("b").any()
    jax.tree.map(np.testing.assert_array_equal, with_bias, without)


@pytest.mark.parametrize(
    ("bias", "size", "missing"),
    [("values", {}, "values"), ("output", {"values": 6}, "output"), ("both", {"output": 5}, "values")],
)
def test_a_bias_without_its_projection_is_rejected(bias, size, missing):
    attention, states = Attention(Config(score=Spec("general"), bias=bias, **size)), jnp.zeros((3, 5, 4))
    with pytest.raises(UserError, match=f"no effect without a projection; set model.attention.{missing}"):
        jax.eval_shape(lambda: attention.init(jax.random.PRNGKey(0), states, jnp.asarray(LENGTHS), states[:, 0], 3))
