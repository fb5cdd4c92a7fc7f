"""Scores that read previous steps, compared with plain NumPy.

A plain score handles one sentence: (parameters, states [s k], queries and weights of previous steps) -> its term inside
the tanh, [s a] or [1 a].
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference_cells import sigmoid

from attn_research.attention.attention import Attention
from attn_research.config import Attention as AttentionConfig
from attn_research.registry import Spec

rng = np.random.default_rng(0)


def array(*shape):
    return rng.normal(size=shape).astype(np.float32)


def uniform(h):
    return np.full(len(h), 1 / len(h))


def first(h):
    return np.eye(len(h))[0]


def zero(h):
    return np.zeros(len(h))


def total(h, before, start):
    return sum((a for _, a in before), start(h))


def around(features, F):
    """Cross-correlates with filters F [w i c], with zeros outside the sentence."""
    width = len(F)
    padded = np.pad(features, ((width // 2, width // 2), (0, 0)))
    return np.array([np.einsum("wi,wic->c", padded[j : j + width], F) for j in range(len(features))])


def coverage_count(p, h, before, start=zero):
    return total(h, before, start)[:, None] @ p["G"]


def fertile(p, h, before):
    return (total(h, before, zero) / (2 * sigmoid(h @ p["w"])))[:, None] @ p["G"]


def coverage_input(p, h, q, a):
    return h @ p["E"] + q @ p["D"] + a[:, None] @ p["A"]


def neural(p, h, before, activation=np.tanh):
    C = np.zeros((len(h), len(p["R"])))
    for q, a in before:
        C = activation(coverage_input(p, h, q, a) + C @ p["R"])
    return C @ p["G"]


def gated(p, h, before):
    C = np.zeros((len(h), len(p["R"])))
    for q, a in before:
        (x_r, x_z, x_n), (h_r, h_z, h_n) = (
            np.split(y, 3, -1) for y in (coverage_input(p, h, q, a) + p["b_x"], C @ p["R"])
        )
        z = sigmoid(x_z + h_z)
        C = (1 - z) * np.tanh(x_n + sigmoid(x_r + h_r) * (h_n + p["b_n"])) + z * C
    return C @ p["G"]


def steps_before(h, before, n, start):
    """Returns the last n weight vectors [s n], with `start` before the first step."""
    return np.stack(([start(h)] * n + [a for _, a in before])[-n:], -1)


def filtered(p, h, before, start=uniform):
    return around(steps_before(h, before, p["F"].shape[1], start), p["F"]) @ p["U"]


def filtered_total(p, h, before, start=uniform):
    return around(total(h, before, start)[:, None], p["F"]) @ p["U"]


def filtered_both(p, h, before, start=uniform):
    both = np.concatenate([steps_before(h, before, 1, start), total(h, before, start)[:, None]], -1)
    return around(both, p["F"]) @ p["U"]


def recurrent(p, h, before, start=uniform):
    c = state = np.zeros(p["W"].shape[1] // 4)
    for step in range(len(before) + 1):
        f = np.maximum(around(steps_before(h, before[:step], 1, start), p["F"]), 0).max(0)
        i, forget, g, o = np.split(np.concatenate([f, state]) @ p["W"], 4)
        c = sigmoid(forget) * c + sigmoid(i) * np.tanh(g)
        state = sigmoid(o) * np.tanh(c)
    return state[None]


REMEMBERING = {
    "coverage": coverage_count,
    "coverage(bias=True, start='uniform', units=3)": functools.partial(coverage_count, start=uniform),
    "coverage(fertility=2.0)": fertile,
    "coverage_nn(size=3)": neural,
    "coverage_nn(activation='sigmoid', size=3)": functools.partial(neural, activation=sigmoid),
    "coverage_gru(bias=True, size=3)": gated,
    "location_aware(bias=True, channels=3, reach=1, units=5)": filtered,
    "location_aware(channels=3, reach=1, reads='coverage')": filtered_total,
    "location_aware(channels=3, reach=1, reads='both')": filtered_both,
    "location_2d(channels=3, reach=1, steps=3)": filtered,
    "location_recurrent(channels=3, reach=1)": recurrent,
    "location_aware(bias=True, channels=3, reach=1, start='first')": functools.partial(filtered, start=first),
    "location_aware(channels=3, reach=1, reads='both', start='zero')": functools.partial(filtered_both, start=zero),
    "location_aware(channels=3, reach=1, reads='coverage', start='first')": functools.partial(
        filtered_total, start=first
    ),
    "location_2d(channels=3, reach=1, start='first', steps=3)": functools.partial(filtered, start=first),
    "location_recurrent(channels=3, reach=1, start='zero')": functools.partial(recurrent, start=zero),
}
LENGTHS = (6, 3, 1, 0)
STATES, QUERIES = array(4, 6, 4), array(4, 4, 4)


PRECISIONS = pytest.mark.parametrize(("dtype", "tolerance"), [(jnp.float64, 1e-12), (jnp.float32, 1e-5)])


def plain_weights(p, h, queries, term):
    before = []
    for q in queries:
        e = np.tanh(h @ p["W_k"] + q @ p["W_q"] + p.get("b", 0) + term(p, h, before)) @ p["v"]
        before.append((q, np.exp(e) / np.exp(e).sum()))
    return np.array([a for _, a in before])


@functools.cache
def run_steps(spec):
    """Returns a jitted (parameters, states [b s k], queries [t b q]) -> weights [t b s], step by step."""
    attention = Attention(AttentionConfig(score=Spec(spec)))

    def scan_weights(params, states, queries):
        bound_attention = attention.apply({"params": {"score": params}}, states, jnp.array(LENGTHS), states[:, -1], 4)

        def step(history, query):
            _, weights, history = bound_attention.step(query, history)
            return history, weights

        return jax.lax.scan(step, bound_attention.start, queries)[1]

    return jax.jit(scan_weights)


@functools.cache
def random_parameters(spec):
    attention = Attention(AttentionConfig(score=Spec(spec)))
    init = functools.partial(attention.init, lengths=jnp.array(LENGTHS), query_size=4)
    shapes = jax.eval_shape(init, jax.random.PRNGKey(0), jnp.asarray(STATES), last=jnp.asarray(STATES[:, -1]))
    return jax.tree.map(lambda x: array(*x.shape), shapes["params"]["score"])


def weights(spec, states=STATES, dtype=jnp.float32):
    with jax.enable_x64(dtype == jnp.float64):
        parameters = jax.tree.map(lambda x: jnp.asarray(x, dtype), (random_parameters(spec), states, QUERIES))
        return np.asarray(run_steps(spec)(*parameters))


@PRECISIONS
@pytest.mark.parametrize("spec", REMEMBERING)
def test_scores_that_remember_equal_their_equations(spec, dtype, tolerance):
    params = jax.tree.map(np.float64, random_parameters(spec))
    actual = weights(spec, dtype=dtype)
    for row, length in enumerate(LENGTHS):
        np.testing.assert_array_equal(actual[:, row, length:], 0)
        if length:
            states, queries = np.float64(STATES[row, :length]), np.float64(QUERIES[:, row])
            expected = plain_weights(params, states, queries, REMEMBERING[spec])
            np.testing.assert_allclose(actual[:, row, :length], expected, atol=tolerance, rtol=0)


@pytest.mark.parametrize("spec", REMEMBERING)
def test_padding_is_not_remembered(spec):
    """The content of padding changes nothing. One row is padding alone."""
    real = np.arange(6)[None] < np.array(LENGTHS)[:, None]
    other = np.where(real[..., None], STATES, array(4, 6, 4))
    actual = weights(spec)
    assert np.isfinite(actual).all()
    np.testing.assert_array_equal(weights(spec, other), actual)


STOPPING = ["coverage", "location_aware(reads='both')", "location_2d(steps=2)", "location_recurrent"]


@pytest.mark.parametrize("spec", STOPPING)
def test_a_stopped_gradient_treats_previous_weights_as_constants(spec):
    """The weights are the same, but the first query gets no gradient from the second step."""
    name = Spec(spec).name
    hyper = {**Spec(spec).hyper, "stop_gradient": True}
    stopped = f"{name}({', '.join(f'{key}={value!r}' for key, value in hyper.items())})"
    attention = {one: Attention(AttentionConfig(score=Spec(one))) for one in (spec, stopped)}

    def second(first_query, one):
        params, states = {"params": {"score": random_parameters(spec)}}, jnp.asarray(STATES)
        bound_attention = attention[one].apply(params, states, jnp.array(LENGTHS), states[:, -1], 4)
        _, _, history = bound_attention.step(first_query, bound_attention.start)
        return bound_attention.step(jnp.asarray(QUERIES[1]), history)[1]

    queries = jnp.asarray(QUERIES[0])
    np.testing.assert_array_equal(second(queries, spec), second(queries, stopped))
    flows = {one: jax.grad(lambda q, one=one: (second(q, one) ** 2).sum())(queries) for one in (spec, stopped)}
    assert abs(flows[spec][0]).max() > 1e-6
    assert not flows[stopped].any()
