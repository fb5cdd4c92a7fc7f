"""Identities between scores, and invalid settings."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attn_research.attention.history import History
from attn_research.attention.scores import scores
from attn_research.registry import Spec

rng = np.random.default_rng(0)


def array(*shape):
    return rng.normal(size=shape).astype(np.float32)


KEYS, QUERY, LONGER = array(2, 5, 4), array(2, 4), array(2, 6)
HISTORY = History(step=jnp.array(3), lengths=jnp.array([5, 4]))
W_q, W_k, v, b = array(4, 3), array(4, 3), array(3), array(3)
JOINED = {"W_q": W_q, "W_k": W_k, "v": v}


def logits(spec, keys=KEYS, query=QUERY, **weights):
    """Computes logits without Flax. Parameters that are not in `weights` have their initial values."""
    parameters = dict(weights)

    def param(name, init, shape):
        value = parameters.pop(name) if name in parameters else init(jax.random.PRNGKey(0), shape)
        assert jnp.shape(value) == shape, name
        return jnp.asarray(value)

    actual = scores.bind(Spec(spec))(param, jnp.asarray(keys), query.shape[-1])(jnp.asarray(query), HISTORY)
    assert not parameters
    return np.asarray(actual)


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-6)


def inner(keys, query):
    return np.einsum("bsa,ba->bs", keys, query)


def test_dot_is_the_inner_product():
    close(logits("dot"), [[key @ q for key in keys] for keys, q in zip(KEYS, QUERY, strict=True)])


def test_scaled_dot_divides_dot_by_the_root_of_the_size():
    close(logits("scaled_dot"), logits("dot") / 2)


def test_general_with_the_identity_is_dot():
    close(logits("general", W=np.eye(4, dtype=np.float32)), logits("dot"))


def test_concat_is_a_layer_on_the_concatenation():
    stacked = np.concatenate([W_q, W_k])
    joined = np.concatenate([np.repeat(QUERY[:, None], 5, axis=1), KEYS], -1)
    close(logits("concat(units=3)", **JOINED), np.tanh(joined @ stacked) @ v)


def test_concat_with_a_bias_of_zero_is_concat():
    with_bias = logits("concat(units=3, bias=True)", **JOINED, b=np.zeros(3, np.float32))
    close(with_bias, logits("concat(units=3)", **JOINED))


def test_location_reads_only_the_query_and_is_zero_beyond_its_limit():
    W = array(4, 3)
    close(logits("location(max_length=3)", W=W), np.concatenate([QUERY @ W, np.zeros((2, 2))], -1))


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


def test_general_of_low_rank_is_general_with_a_product():
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


def test_concat_with_biases_is_a_layer_on_the_concatenation():
    joined = np.concatenate([np.repeat(QUERY[:, None], 5, axis=1), KEYS], -1)
    stacked = np.tanh(joined @ np.concatenate([W_q, W_k]) + b) @ v
    close(logits("concat(units=3, bias=True)", **JOINED, b=b), stacked)
    close(logits("concat(units=3, bias='both')", **JOINED, b=0.3 * b, b_q=0.7 * b), stacked)


def test_concat_may_skip_the_projection_of_keys():
    W, u = array(4, 4), array(4)
    close(logits("concat(project_keys=False)", W_q=W, v=u), np.tanh(KEYS + (QUERY @ W)[:, None]) @ u)
    close(logits("concat(project_keys=False)", W_q=W, v=u), logits("concat", W_q=W, W_k=np.eye(4), v=u))


def test_a_normed_v_with_its_own_length_changes_nothing():
    length = np.linalg.norm(v)
    close(logits("concat(units=3, normed=True, bias=True)", **JOINED, g=length), logits("concat(units=3)", **JOINED))
    doubled = logits("concat(units=3, normed=True)", **JOINED | {"v": 9 * v}, g=2 * length)
    close(doubled, 2 * logits("concat(units=3)", **JOINED))
    at_first = logits("concat(units=3, normed=True)", **JOINED) * length
    close(at_first, logits("concat(units=3)", **JOINED) / 3**0.5)


def norm(x, gain, shift):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * gain + shift


def test_layer_norm_applies_to_the_sum_or_to_each_side():
    gain, shift, other = array(3), array(3), array(3)
    key, query = KEYS @ W_k + b, (QUERY @ W_q)[:, None]
    actual = logits("concat(units=3, bias=True, layer_norm='sum')", **JOINED, b=b, gain_sum=gain, shift_sum=shift)
    close(actual, np.tanh(norm(key + query, gain, shift)) @ v)
    sides = {"gain_k": gain, "shift_k": shift, "gain_q": other}
    actual = logits("concat(units=3, bias=True, layer_norm='each')", **JOINED, b=b, **sides)
    close(actual, np.tanh(norm(key, gain, shift) + norm(query, other, 0)) @ v)


def test_cosine_ignores_the_lengths_of_vectors():
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
    close(*(x - x[:, :1] for x in same))  # with keys of one length, a softmax gives the same weights


@pytest.mark.parametrize("spec", ["cosine", "concat(layer_norm='sum')", "concat(layer_norm='each')"])
def test_norms_have_finite_gradients_at_zero(spec):
    def total(keys, query):
        param = lambda name, init, shape: init(jax.random.PRNGKey(0), shape)  # noqa: E731
        return scores.bind(Spec(spec))(param, keys, 4)(query, HISTORY).sum()

    for leaf in jax.grad(total, (0, 1))(jnp.zeros((2, 5, 4)), jnp.zeros((2, 4))):
        assert np.isfinite(leaf).all()


def test_relative_adds_a_bias_for_each_offset_from_the_step():
    B, W = array(5), array(4, 4)
    offsets = np.clip(np.arange(5) - 3, -2, 2) + 2
    close(logits("relative(reach=2)", B=B, W=W), logits("general", W=W) + B[offsets])
    actual = logits("relative(reach=2, score='concat(units=3)')", **JOINED, B=B)
    close(actual, logits("concat(units=3)", **JOINED) + B[offsets])


INVALID = {
    "dot(units=3)": "units of score 'dot' has no effect without project=True",
    "dot(bias=True)": "bias of score 'dot' has no effect without project=True",
    "dot(activation='tanh')": "activation of score 'dot' has no effect without project=True",
    "scaled_dot(units=3)": "units of score 'scaled_dot' has no effect without project=True",
    "scaled_dot(scale=0.0)": "scale of score 'scaled_dot' is 0.0, but must be at least 1e-06",
    "relative(reach=0)": "reach of score 'relative' is 0, but must be at least 1",
    "concat(project_keys=False, units=3)": "units of score 'concat' has no effect with project_keys=False",
    "cosine(sharpness=0.0)": "sharpness of score 'cosine' is 0.0, but must be at least 1e-06",
    "coverage(fertility=-1.0)": "fertility of score 'coverage' is -1.0, but must be at least 1e-06",
    "relative(score='location')": "score of score 'relative' is 'location', but must read the content",
    "relative(score='coverage')": "score of score 'relative' is 'coverage', but must read the content",
    "relative(score='generl')": "unknown score 'generl'; known: .* did you mean general",
}


@pytest.mark.parametrize("spec", INVALID)
def test_options_without_effect_are_rejected(spec):
    with pytest.raises(ValueError, match=INVALID[spec]):
        logits(spec)


@pytest.mark.parametrize("spec", ["dot", "scaled_dot", "cosine", "rbf"])
def test_queries_and_keys_of_different_sizes_are_rejected(spec):
    with pytest.raises(ValueError, match=f"{spec}' needs query and key of one size, but the query has 6 and the key 4"):
        logits(spec, query=LONGER)
