"""Identities between scores, and those that know the steps before against plain numpy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attn_research.attention.attention import Attention
from attn_research.attention.history import History
from attn_research.attention.scores import scores
from attn_research.config import Attention as AttentionConfig
from attn_research.registry import Spec

rng = np.random.default_rng(0)


def array(*shape):
    return rng.normal(size=shape).astype(np.float32)


KEYS, QUERY, LONGER = array(2, 5, 4), array(2, 4), array(2, 6)
NOW = History(step=jnp.array(3), lengths=jnp.array([5, 4]))
W_q, W_k, v, b = array(4, 3), array(4, 3), array(3), array(3)
JOINED = {"W_q": W_q, "W_k": W_k, "v": v}


def logits(spec, keys=KEYS, query=QUERY, **weights):
    """A score needs no Flax: `param` only has to give arrays; those not named here start as they are initialised."""
    given = dict(weights)

    def param(name, init, shape):
        value = given.pop(name) if name in given else init(jax.random.PRNGKey(0), shape)
        assert jnp.shape(value) == shape, name
        return jnp.asarray(value)

    found = scores.bind(Spec(spec))(param, jnp.asarray(keys), query.shape[-1])(jnp.asarray(query), NOW)
    assert not given
    return np.asarray(found)


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-6)


def inner(keys, query):
    return np.einsum("bsa,ba->bs", keys, query)


def test_a_projected_dot_is_the_dot_of_the_projections():
    close(logits("dot(project=True, units=3)", W_q=W_q, W_k=W_k), inner(KEYS @ W_k, QUERY @ W_q))
    assert logits("dot(project=True, units=3)", query=LONGER).shape == (2, 5)


def test_a_dot_may_have_biases_and_tanh():
    weights = {"W_q": W_q, "b_q": b, "W_k": W_k, "b_k": v}
    sides = KEYS @ W_k + v, QUERY @ W_q + b
    close(logits("dot(project=True, units=3, bias=True)", **weights), inner(*sides))
    tanh = logits("dot(project=True, units=3, bias=True, activation='tanh')", **weights)
    close(tanh, inner(*map(np.tanh, sides)))


def test_the_scale_is_fixed_or_learned():
    close(logits("scaled_dot(scale=3.0)"), 3 * inner(KEYS, QUERY))
    close(logits("scaled_dot(learned_scale=True)"), logits("scaled_dot"))
    close(logits("scaled_dot(learned_scale=True)", g=np.float32(7)), 7 * logits("scaled_dot"))
    close(logits("scaled_dot"), logits("dot", query=QUERY / 2))
    projected = logits("scaled_dot(project=True, units=3)", W_q=W_q, W_k=W_k)
    close(projected, logits("dot(project=True, units=3)", W_q=W_q, W_k=W_k) / 3**0.5)


def test_general_of_full_rank_is_general():
    U, V = array(4, 3), array(3, 6)
    low = logits("general(rank=3)", query=LONGER, U=U, V=V)
    close(low, logits("general", query=LONGER, W=U @ V))
    close(low, logits("dot(project=True, units=3)", query=LONGER, W_k=U, W_q=V.T))


def test_general_may_learn_a_scale():
    W = array(4, 4)
    close(logits("general(learned_scale=True)", W=W), logits("general", W=W))
    close(logits("general(learned_scale=True)", W=W, g=np.float32(-2)), -2 * logits("general", W=W))


def test_biaffine_is_general_and_a_term_of_the_key():
    W, u = array(4, 4), array(4)
    close(logits("biaffine", W=W, u=0 * u), logits("general", W=W))
    close(logits("biaffine", W=W, u=u), inner(KEYS @ W, QUERY) + KEYS @ u)


def test_concat_of_the_joined_vectors_is_additive():
    joined = np.concatenate([np.repeat(QUERY[:, None], 5, axis=1), KEYS], -1)
    stacked = np.tanh(joined @ np.concatenate([W_q, W_k]) + b) @ v
    close(logits("concat(units=3, bias=True)", **JOINED, b=b), stacked)
    close(logits("concat(units=3, bias='both')", **JOINED, b=0.3 * b, b_q=0.7 * b), stacked)


def test_concat_may_leave_the_keys_as_they_are():
    W, u = array(4, 4), array(4)
    close(logits("concat(project_keys=False)", W_q=W, v=u), np.tanh(KEYS + (QUERY @ W)[:, None]) @ u)
    close(logits("concat(project_keys=False)", W_q=W, v=u), logits("concat", W_q=W, W_k=np.eye(4), v=u))


def test_a_normed_v_of_its_own_length_is_v():
    length = np.linalg.norm(v)
    close(logits("concat(units=3, normed=True, bias=True)", **JOINED, g=length), logits("concat(units=3)", **JOINED))
    doubled = logits("concat(units=3, normed=True)", **JOINED | {"v": 9 * v}, g=2 * length)
    close(doubled, 2 * logits("concat(units=3)", **JOINED))
    at_first = logits("concat(units=3, normed=True)", **JOINED) * length
    close(at_first, logits("concat(units=3)", **JOINED) / 3**0.5)


def norm(x, gain, shift):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * gain + shift


def test_layer_norm_of_the_sum_or_of_each_side():
    gain, shift, other = array(3), array(3), array(3)
    key, query = KEYS @ W_k + b, (QUERY @ W_q)[:, None]
    found = logits("concat(units=3, bias=True, layer_norm='sum')", **JOINED, b=b, gain_sum=gain, shift_sum=shift)
    close(found, np.tanh(norm(key + query, gain, shift)) @ v)
    sides = {"gain_k": gain, "shift_k": shift, "gain_q": other}
    found = logits("concat(units=3, bias=True, layer_norm='each')", **JOINED, b=b, **sides)
    close(found, np.tanh(norm(key, gain, shift) + norm(query, other, 0)) @ v)


def test_cosine_does_not_see_lengths():
    plain = inner(KEYS, QUERY) / np.linalg.norm(KEYS, axis=-1) / np.linalg.norm(QUERY, axis=-1)[:, None]
    close(logits("cosine(learned=False)"), 10 * plain)
    close(logits("cosine(sharpness=3.0)"), 3 * plain)
    close(logits("cosine", log_beta=np.float32(0.5)), np.exp(0.5) * plain)


def test_rbf_falls_with_the_squared_distance():
    squared = ((KEYS - QUERY[:, None]) ** 2).sum(-1)
    close(logits("rbf(learned=False)"), -0.5 * squared)
    close(logits("rbf", log_beta=np.float32(1)), -np.e * squared)
    unit = KEYS / np.linalg.norm(KEYS, axis=-1, keepdims=True)
    same = [logits(spec, keys=unit) for spec in ("rbf(sharpness=0.5, learned=False)", "dot")]
    close(*(x - x[:, :1] for x in same))  # keys of one length: a softmax sees no difference


@pytest.mark.parametrize("spec", ["cosine", "concat(layer_norm='sum')", "concat(layer_norm='each')"])
def test_norms_have_finite_gradients_at_zero(spec):
    def total(keys, query):
        param = lambda name, init, shape: init(jax.random.PRNGKey(0), shape)  # noqa: E731
        return scores.bind(Spec(spec))(param, keys, 4)(query, NOW).sum()

    for leaf in jax.grad(total, (0, 1))(jnp.zeros((2, 5, 4)), jnp.zeros((2, 4))):
        assert np.isfinite(leaf).all()


def test_relative_adds_a_bias_for_each_offset_from_the_step():
    B, W = array(5), array(4, 4)
    offsets = np.clip(np.arange(5) - 3, -2, 2) + 2
    close(logits("relative(reach=2)", B=B, W=W), logits("general", W=W) + B[offsets])
    found = logits("relative(reach=2, score='concat(units=3)')", **JOINED, B=B)
    close(found, logits("concat(units=3)", **JOINED) + B[offsets])


REFUSED = {
    "dot(units=3)": "units of score 'dot' has no effect without project=True",
    "dot(bias=True)": "bias of score 'dot' has no effect without project=True",
    "dot(activation='tanh')": "activation of score 'dot' has no effect without project=True",
    "scaled_dot(units=3)": "units of score 'scaled_dot' has no effect without project=True",
    "concat(project_keys=False, units=3)": "units of score 'concat' has no effect with project_keys=False",
    "cosine(sharpness=0.0)": "sharpness of score 'cosine' is 0.0, but must be above 0",
    "coverage(fertility=-1.0)": "fertility of score 'coverage' is -1.0, but must be above 0",
    "relative(score='location')": "score of score 'relative' is 'location', but must read the content",
    "relative(score='coverage')": "score of score 'relative' is 'coverage', but must read the content",
    "relative(score='generl')": "unknown score 'generl'; known: .* did you mean general",
}


@pytest.mark.parametrize("spec", REFUSED)
def test_what_would_change_nothing_is_refused(spec):
    with pytest.raises(ValueError, match=REFUSED[spec]):
        logits(spec)


@pytest.mark.parametrize("spec", ["dot", "scaled_dot", "cosine", "rbf"])
def test_query_and_key_of_two_sizes_are_refused(spec):
    with pytest.raises(ValueError, match=f"{spec}' needs query and key of one size, but the query has 6 and the key 4"):
        logits(spec, query=LONGER)


# Scores that know the steps before, one sentence at a time: (parameters, states [s k], queries and weights of the
# steps before) -> the term in the tanh, [s a] or [1 a].


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def total(h, before, start):
    return sum((a for _, a in before), np.full(len(h), start / len(h)))


def around(features, F):
    """Cross-correlation with filters F [w i c], zero outside the sentence."""
    width = len(F)
    padded = np.pad(features, ((width // 2, width // 2), (0, 0)))
    return np.array([np.einsum("wi,wic->c", padded[j : j + width], F) for j in range(len(features))])


def counted(p, h, before, start=0.0):
    return total(h, before, start)[:, None] @ p["G"]


def fertile(p, h, before):
    return (total(h, before, 0.0) / (2 * sigmoid(h @ p["w"])))[:, None] @ p["G"]


def seen(p, h, q, a):
    return h @ p["E"] + q @ p["D"] + a[:, None] @ p["A"]


def neural(p, h, before, activation=np.tanh):
    C = np.zeros((len(h), len(p["R"])))
    for q, a in before:
        C = activation(seen(p, h, q, a) + C @ p["R"])
    return C @ p["G"]


def gated(p, h, before):
    C = np.zeros((len(h), len(p["R"])))
    for q, a in before:
        (x_r, x_z, x_n), (h_r, h_z, h_n) = (np.split(y, 3, -1) for y in (seen(p, h, q, a) + p["b_x"], C @ p["R"]))
        z = sigmoid(x_z + h_z)
        C = (1 - z) * np.tanh(x_n + sigmoid(x_r + h_r) * (h_n + p["b_n"])) + z * C
    return C @ p["G"]


def steps_before(h, before, n):
    """The last n weight vectors [s n], uniform where there were none."""
    return np.stack(([np.full(len(h), 1 / len(h))] * n + [a for _, a in before])[-n:], -1)


def filtered(p, h, before):
    return around(steps_before(h, before, p["F"].shape[1]), p["F"]) @ p["U"]


def filtered_total(p, h, before):
    return around(total(h, before, 1.0)[:, None], p["F"]) @ p["U"]


def filtered_both(p, h, before):
    both = np.concatenate([steps_before(h, before, 1), total(h, before, 1.0)[:, None]], -1)
    return around(both, p["F"]) @ p["U"]


def recurrent(p, h, before):
    c = state = np.zeros(p["W"].shape[1] // 4)
    for step in range(len(before) + 1):
        f = np.maximum(around(steps_before(h, before[:step], 1), p["F"]), 0).max(0)
        i, forget, g, o = np.split(np.concatenate([f, state]) @ p["W"], 4)
        c = sigmoid(forget) * c + sigmoid(i) * np.tanh(g)
        state = sigmoid(o) * np.tanh(c)
    return state[None]


REMEMBERING = {
    "coverage": counted,
    "coverage(bias=True, start='uniform', units=3)": functools.partial(counted, start=1.0),
    "coverage(fertility=2.0)": fertile,
    "coverage_nn(size=3)": neural,
    "coverage_nn(activation='sigmoid', size=3)": functools.partial(neural, activation=sigmoid),
    "coverage_gru(bias=True, size=3)": gated,
    "location_aware(bias=True, channels=3, reach=1, units=5)": filtered,
    "location_aware(channels=3, reach=1, reads='coverage')": filtered_total,
    "location_aware(channels=3, reach=1, reads='both')": filtered_both,
    "location_2d(channels=3, reach=1, steps=3)": filtered,
    "location_recurrent(channels=3, reach=1)": recurrent,
}
LENGTHS = (6, 3, 1, 0)
STATES, QUERIES = array(4, 6, 4), array(4, 4, 4)


def plain_weights(p, h, queries, term):
    before = []
    for q in queries:
        e = np.tanh(h @ p["W_k"] + q @ p["W_q"] + p.get("b", 0) + term(p, h, before)) @ p["v"]
        before.append((q, np.exp(e) / np.exp(e).sum()))
    return np.array([a for _, a in before])


@functools.cache
def walk(spec):
    """Jitted (parameters, states [b s k]) -> weights [t b s], a step after the other."""
    attention = Attention(AttentionConfig(score=Spec(spec)))

    def weights(params, states):
        attend = attention.apply({"params": {"score": params}}, states, jnp.array(LENGTHS), states[:, -1], 4)

        def step(history, query):
            _, weights, history = attend.step(query, history)
            return history, weights

        return jax.lax.scan(step, attend.start, jnp.asarray(QUERIES))[1]

    return jax.jit(weights)


@functools.cache
def random_parameters(spec):
    attention = Attention(AttentionConfig(score=Spec(spec)))
    init = functools.partial(attention.init, lengths=jnp.array(LENGTHS), query_size=4)
    shapes = jax.eval_shape(init, jax.random.PRNGKey(0), jnp.asarray(STATES), last=jnp.asarray(STATES[:, -1]))
    return jax.tree.map(lambda x: array(*x.shape), shapes["params"]["score"])


@pytest.mark.parametrize("spec", REMEMBERING)
def test_scores_that_remember_are_their_equations(spec):
    params = random_parameters(spec)
    found = walk(spec)(params, jnp.asarray(STATES))
    for row, length in enumerate(LENGTHS):
        np.testing.assert_array_equal(found[:, row, length:], 0)
        if length:
            expected = plain_weights(params, STATES[row, :length], QUERIES[:, row], REMEMBERING[spec])
            np.testing.assert_allclose(found[:, row, :length], expected, atol=1e-5)


@pytest.mark.parametrize("spec", REMEMBERING)
def test_padding_is_not_remembered(spec):
    """What stands in it changes nothing; one row has nothing else."""
    real = np.arange(6)[None] < np.array(LENGTHS)[:, None]
    other = np.where(real[..., None], STATES, array(4, 6, 4))
    params = random_parameters(spec)
    found = walk(spec)(params, jnp.asarray(STATES))
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(walk(spec)(params, jnp.asarray(other)), found)
