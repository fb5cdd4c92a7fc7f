"""Monotonic normalizers compared with plain loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from attention_steps import close, one_step, run_steps, softmax
from reference_cells import sigmoid

from attn_research.attention.monotonic import chunkwise, expected_alignment
from attn_research.errors import UserError

rng = np.random.default_rng(0)
T, B, S = 5, 3, 6
LOGITS, KEYS, QUERIES, W = (
    rng.normal(size=shape).astype(np.float32) for shape in ((T, B, S), (B, S, 4), (T, B, 3), (4, 3))
)
LENGTHS = np.array([6, 3, 0])
VISIBLE = np.arange(S)[None] < LENGTHS[:, None]
FIRST = np.eye(S)[np.zeros(B, int)]
HARD, MILK = "monotonic(hard_decoding=True)", "milk(hard_decoding=True, score='general')"
PRECISIONS = pytest.mark.parametrize(("dtype", "tolerance"), [(jnp.float64, 1e-12), (jnp.float32, 1e-5)])


def inputs(dtype):
    return (np.asarray(LOGITS, dtype), VISIBLE, np.asarray(KEYS, dtype), np.asarray(QUERIES, dtype))


def recursive(p, before):
    a = np.zeros(len(p))
    q = 0.0
    for j in range(len(p)):
        q = (1 - p[j - 1]) * q + before[j] if j else before[0]
        a[j] = p[j] * q
    return a


def parallel(p, before):
    """Computes the parallel form of TensorFlow Addons."""
    C = np.exp(np.concatenate([[0], np.cumsum(np.log(np.clip(1 - p[:-1], 1e-38, 1)))]))
    return p * C * np.cumsum(before / np.clip(C, 1e-10, 1))


def alignments(offset=0.0):
    """Returns the monotonic alignments [t b s], computed row by row."""
    actual = []
    before = FIRST
    for logits in LOGITS.astype(float):
        p = np.where(VISIBLE, sigmoid(logits + offset), 0)
        before = np.stack([recursive(*row) for row in zip(p, before, strict=True)])
        actual.append(before)
    return np.stack(actual)


def test_alignment_equals_the_recursion_and_the_parallel_form_below_one():
    p, before = rng.random((B, S)), rng.dirichlet(np.ones(S), B)
    expected = [recursive(*row) for row in zip(p, before, strict=True)]
    close(expected_alignment(jnp.asarray(p), jnp.asarray(before)), expected)
    close([parallel(*row) for row in zip(p, before, strict=True)], expected)


def test_the_parallel_form_loses_mass_behind_a_probability_of_one():
    p, before = np.array([[0.5, 1.0, 0.5, 0.9]]), np.array([[0.3, 0.1, 0.4, 0.2]])
    close(expected_alignment(jnp.asarray(p), jnp.asarray(before)), recursive(p[0], before[0])[None])
    assert parallel(p[0], before[0]).sum() < recursive(p[0], before[0]).sum() - 0.05


def test_a_deterministic_scan_continues_from_its_last_stop():
    """With probabilities 0 and 1, the steps stop at 2, 2, 4 and nowhere."""
    stops = np.array([[0, 0, 1, 0, 1, 0], [0, 1, 1, 0, 0, 0], [1, 1, 0, 0, 1, 0], [1, 1, 1, 1, 0, 0]])
    logits = np.where(stops, 200, -200).astype(np.float32)[:, None]
    actual = run_steps("monotonic", logits, np.ones((1, S), bool), KEYS[:1], QUERIES[:4, :1])
    np.testing.assert_array_equal(actual[:, 0], np.eye(S + 1)[[2, 2, 4, S], :S])


@pytest.mark.parametrize("offset", [0.0, -1.5])
def test_monotonic_equals_the_loop(offset):
    close(run_steps(f"monotonic(offset={offset})", LOGITS, VISIBLE, KEYS, QUERIES), alignments(offset))


def test_noise_precedes_the_sigmoid_and_only_in_training():
    spec, key = "monotonic(noise=2.0)", jax.random.PRNGKey(1)
    noise = np.asarray(jax.random.normal(key, (S, B))).T
    close(one_step(spec, LOGITS[0], VISIBLE, key=key), one_step("monotonic", LOGITS[0] + 2 * noise, VISIBLE))
    close(one_step(spec, LOGITS[0], VISIBLE), one_step("monotonic", LOGITS[0], VISIBLE))


def direct(alpha, u, width):
    """Computes the double sum as in the equation."""
    beta = np.zeros(len(u))
    for j in range(len(u)):
        for k in range(j, min(j + width, len(u))):
            beta[j] += alpha[k] * np.exp(u[j]) / np.exp(u[max(0, k - width + 1) : k + 1]).sum()
    return beta


@pytest.mark.parametrize(
    ("spec", "width"),
    [("mocha(score='general')", 2), ("mocha(score='general', width=4)", 4), ("milk(score='general')", S)],
)
def test_mocha_and_milk_equal_their_double_sum(spec, width):
    energies = np.einsum("bsk,kq,tbq->tbs", KEYS, W, QUERIES)
    actual = run_steps(spec, LOGITS, VISIBLE, KEYS, QUERIES, chunk_W=W)
    for t, alphas in enumerate(alignments()):
        for b, length in enumerate(LENGTHS):
            close(actual[t, b, :length], direct(alphas[b, :length], energies[t, b, :length], width))
    assert (actual[:, ~VISIBLE] == 0).all()
    close(actual.sum(-1), alignments().sum(-1))


def test_a_chunk_of_one_equals_monotonic_and_is_rejected():
    alpha, visible = jnp.asarray(alignments()[0], jnp.float32), jnp.asarray(VISIBLE)
    spread = chunkwise(lambda query, history: jnp.asarray(LOGITS[1]), 1)
    close(spread(alpha, visible, None, None), alpha)
    with pytest.raises(UserError, match="width of normalizer 'mocha' is 1, but must be at least 2"):
        one_step("mocha(width=1)", LOGITS[0], VISIBLE)


def stops(logits, offset):
    """Returns the stop of a row in each step: the first e + r > 0 from the last stop on, as in the paper."""
    at, actual = 0, []
    for row in logits:
        at = next((j for j in range(at, len(row)) if row[j] + offset > 0), len(row))
        actual.append(at)
    return actual


@PRECISIONS
@pytest.mark.parametrize("offset", [0.0, -0.4])
def test_hard_decoding_stops_at_the_first_position_above_zero(offset, dtype, tolerance):
    spec = f"monotonic(hard_decoding=True, noise=1.0, offset={offset})"
    with jax.enable_x64(dtype == jnp.float64):
        actual = np.asarray(run_steps(spec, *inputs(dtype)))
    assert actual.dtype == dtype
    for b, length in enumerate(LENGTHS):
        expected = np.eye(length + 1, S)[stops(LOGITS[:, b, :length], offset)]
        np.testing.assert_array_equal(actual[:, b], expected * (np.arange(S) < length))
    assert (actual.sum(-1) == 0).any() and (actual.sum(-1) == 1).any()


@PRECISIONS
def test_hard_mocha_is_a_softmax_over_the_chunk_before_the_stop(dtype, tolerance):
    energies = np.einsum("bsk,kq,tbq->tbs", *map(np.float64, (KEYS, W, QUERIES)))
    for spec, width in (("mocha(hard_decoding=True, score='general', width=3)", 3), (MILK, S)):
        with jax.enable_x64(dtype == jnp.float64):
            actual = np.asarray(run_steps(spec, *inputs(dtype), chunk_W=np.asarray(W, dtype)))
        for b, length in enumerate(LENGTHS):
            for t, stop in enumerate(stops(LOGITS[:, b, :length], 0.0)):
                alpha = np.eye(length + 1, length)[stop]
                expected = direct(alpha, energies[t, b, :length], width)
                np.testing.assert_allclose(actual[t, b, :length], expected, atol=tolerance, rtol=0)


def test_hard_decoding_is_soft_in_training():
    """With a random key, as in training, p is the sigmoid, so that every score gets a gradient."""
    key = jax.random.PRNGKey(1)
    soft, hard = (one_step(spec, LOGITS[0], VISIBLE, key=key) for spec in ("monotonic", HARD))
    np.testing.assert_array_equal(hard, soft)
    assert not np.array_equal(one_step(HARD, LOGITS[0], VISIBLE), soft)


def test_chunks_are_stable_for_energies_far_apart():
    keys = np.where(np.arange(S) % 2, 1e3, -1e3).astype(np.float32)[None, :, None] * np.ones((1, 1, 2), np.float32)
    actual = run_steps("milk(score='dot')", LOGITS[:, :1], VISIBLE[:1], keys, np.ones((T, 1, 2), np.float32))
    close(actual.sum(-1), alignments()[:, :1].sum(-1))


def forward_loop(agent=None, clamp=0.0, visible=VISIBLE):
    """`agent` is (W [k + q], b). Rows without visible positions are not compared."""
    before, u, actual = FIRST, np.full(B, 0.5), []
    for logits, query in zip(LOGITS.astype(float), QUERIES, strict=True):
        weights = np.zeros((B, S))
        for b in range(B):
            if not visible[b].any():
                continue
            w = softmax(np.where(visible[b], logits[b], -np.inf))
            stay, move = (u[b], 1 - u[b]) if agent else (1, 1)
            a = [stay * before[b, j] + move * (before[b, j - 1] if j else 0) for j in range(S)]
            weights[b] = np.maximum(w * np.array(a), clamp)
            weights[b] /= weights[b].sum()
        if agent:
            contexts = np.einsum("bs,bsk->bk", weights, KEYS)
            u = sigmoid(np.concatenate([contexts, query], -1) @ agent[0] + agent[1])
        before = weights
        actual.append(weights)
    return np.stack(actual)


def test_forward_attention_equals_the_loop():
    actual = run_steps("forward", LOGITS, VISIBLE, KEYS, QUERIES)
    close(actual, forward_loop())
    close(actual.sum(-1), np.broadcast_to(LENGTHS > 0, (T, B)))


def test_the_transition_agent_equals_the_loop():
    weights, bias = rng.normal(size=7).astype(np.float32), np.float32(0.3)
    actual = run_steps("forward(agent=True)", LOGITS, VISIBLE, KEYS, QUERIES, W=weights[:, None], b=bias[None])
    close(actual, forward_loop((weights, bias)))


def test_the_clamp_gives_padding_weight():
    actual = run_steps("clamped_forward(clamp=0.001)", LOGITS, VISIBLE, KEYS, QUERIES)
    close(actual[:, :2], forward_loop(clamp=0.001)[:, :2])
    assert (actual[:, ~VISIBLE] > 0).all()


def test_forward_attention_keeps_its_mass_if_the_softmax_underflows():
    logits = np.zeros((T, 1, S), np.float32)
    logits[..., -1] = 1e4
    actual = run_steps("forward", logits, VISIBLE[:1], KEYS[:1], QUERIES[:, :1])
    close(actual.sum(-1), np.ones((T, 1)))


@pytest.mark.parametrize("spec", ["monotonic", "mocha", "forward", "forward(agent=True)"])
def test_gradients_are_finite_through_the_steps(spec):
    def loss(logits):
        return (run_steps(spec, logits, VISIBLE, KEYS, QUERIES) * LOGITS).sum()

    assert np.isfinite(jax.jit(jax.grad(loss))(100 * LOGITS)).all()
