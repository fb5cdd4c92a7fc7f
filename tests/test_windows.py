"""Windows compared with plain loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from attention_steps import bind_component, first_history

from attn_research.attention.attention import Attention
from attn_research.attention.windows import windows
from attn_research.config import Attention as AttentionConfig
from attn_research.registry import Spec

rng = np.random.default_rng(0)
S, LENGTHS = 9, np.array([9, 4, 1, 0], np.int32)
KEYS, QUERY = (rng.normal(size=shape).astype(np.float32) for shape in ((4, S, 2), (4, 3)))
W_p, v_p = (rng.normal(size=shape).astype(np.float32) for shape in ((3, 3), (3,)))
REAL = np.arange(S)[None] < LENGTHS[:, None]


def window(spec, step=0, last=None, key=None, query=QUERY, **weights):
    """Returns (visible, reweigh) of one step."""
    component = bind_component(spec, jnp.asarray(KEYS), 3, windows, **weights)
    history = first_history(None, LENGTHS, S, key)._replace(step=jnp.asarray(step))
    return component.step(jnp.asarray(query), history if last is None else history._replace(weights=jnp.asarray(last)))


@pytest.mark.parametrize("step", [0, 3, 8, 20])
@pytest.mark.parametrize("D", [0, 2])
def test_local_m_advances_to_the_last_position_and_stays(step, D):
    visible, reweight = window(f"local_m(D={D})", step)
    for b, length in enumerate(LENGTHS):
        center = min(step, length - 1)
        np.testing.assert_array_equal(visible[b], [abs(j - center) <= D for j in range(S)])
    assert ((visible & REAL).any(-1) == (LENGTHS > 0)).all()
    np.testing.assert_array_equal(reweight(jnp.asarray(KEYS[..., 0])), KEYS[..., 0])


def position(b, query=QUERY):
    return LENGTHS[b] / (1 + np.exp(-np.tanh(query[b] @ W_p) @ v_p))


@pytest.mark.parametrize("D", [1, 3])
def test_local_p_is_a_gaussian_inside_its_window(D):
    visible, reweight = window(f"local_p(D={D})", W_p=W_p, v_p=v_p)
    gaussian = reweight(jnp.ones((4, S)))
    for b in range(3):
        p = position(b)
        np.testing.assert_array_equal(visible[b], [abs(j - int(p)) <= D for j in range(S)])
        expected = [np.exp(-((j - p) ** 2) / (2 * (D / 2) ** 2)) for j in range(S)]
        np.testing.assert_allclose(gaussian[b], expected, rtol=1e-4, atol=1e-30)
        assert (gaussian[b][visible[b]] > 0).all()


def test_renormalized_local_p_sums_to_one():
    weights = jnp.asarray(np.where(REAL, rng.random((4, S)), 0), jnp.float32)
    plain, whole = (window(spec, W_p=W_p, v_p=v_p)[1](weights) for spec in ("local_p", "local_p(renormalise=True)"))
    np.testing.assert_allclose(whole[:3], plain[:3] / plain[:3].sum(-1, keepdims=True), rtol=1e-5)
    assert (whole[3] == 0).all()


def test_local_p_stays_within_the_source():
    visible, _ = window("local_p(D=1)", query=np.full((4, 3), 50, np.float32), W_p=np.eye(3), v_p=np.full(3, 50.0))
    assert ((visible & REAL).any(-1) == (LENGTHS > 0)).all()


def test_local_p_learns_its_position_through_the_gaussian():
    rows = jnp.asarray(np.where(REAL, rng.random((4, S)), 0), jnp.float32)

    def loss(scale):
        return window("local_p(D=3)", W_p=W_p, v_p=v_p * scale)[1](rows).sum()

    value, gradient = (jax.jit(f) for f in (loss, jax.grad(loss)))
    difference = (value(1.01) - value(0.99)) / 0.02
    np.testing.assert_allclose(gradient(1.0), difference, rtol=1e-2)
    assert abs(difference) > 1e-2


@pytest.mark.parametrize(("back", "ahead"), [(1, 3), (0, 1), (2, 2)])
def test_around_last_follows_the_largest_weight(back, ahead):
    last = np.where(REAL, rng.random((4, S)), 0).astype(np.float32)
    visible, _ = window(f"around_last(back={back}, ahead={ahead})", 3, last)
    for b in range(4):
        top = last[b].argmax()
        np.testing.assert_array_equal(visible[b], [top - back <= j < top + ahead for j in range(S)])


def test_around_last_starts_at_the_beginning_and_is_open_in_training():
    assert (window("around_last")[0] == (np.arange(S) < 3)[None]).all()
    assert window("around_last", key=jax.random.PRNGKey(0))[0].all()


def test_around_last_may_be_open_at_the_first_step():
    last = np.eye(S, dtype=np.float32)[[5, 2, 0, 0]]
    spec = "around_last(start='open')"
    assert window(spec)[0].all()
    np.testing.assert_array_equal(window(spec, 1, last)[0], window("around_last", 1, last)[0])
    assert not window(spec, 1, last)[0].all()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("local_m(D=-1)", "D of window 'local_m' is -1, but must be at least 0"),
        ("local_p(D=0)", "D of window 'local_p' is 0, but must be at least 1"),
        ("around_last(back=-1)", "back of window 'around_last' is -1, but must be at least 0"),
        ("around_last(ahead=0)", "ahead of window 'around_last' is 0, but must be at least 1"),
    ],
)
def test_invalid_options_are_rejected(spec, message):
    with pytest.raises(ValueError, match=message):
        window(spec)


def attend_with(window, **changes):
    """Returns attention over KEYS with a window, its start and its jitted step."""
    config = AttentionConfig(score=Spec("general"), window=window and Spec(window), **changes)
    attention, states = Attention(config), jnp.asarray(KEYS)
    arguments = (states, jnp.asarray(LENGTHS), states[:, -1], 3)
    variables = jax.jit(lambda key: attention.init(key, *arguments))(jax.random.PRNGKey(0))
    return attention.apply(variables, *arguments)


@pytest.mark.parametrize("spec", ["local_m(D=1)", "local_p(D=1)", "local_p(renormalise=True)"])
def test_step_by_step_equals_all_steps_at_once(spec):
    bound_attention = attend_with(spec)
    queries = jnp.asarray(rng.normal(size=(5, 4, 3)), jnp.float32)
    _, at_once = jax.jit(bound_attention.attend_all)(queries)
    steps = jax.jit(
        lambda: jax.lax.scan(lambda h, q: bound_attention.step(q, h)[:0:-1], bound_attention.start, queries)[1]
    )()
    np.testing.assert_allclose(at_once, steps, atol=1e-6)
    assert (at_once[:, ~REAL] == 0).all()
    mass = at_once[:, :3].sum(-1)
    assert np.allclose(mass, 1, atol=1e-5) == (spec != "local_p(D=1)")


def test_a_wide_window_changes_nothing():
    query = jnp.asarray(QUERY)
    wide, none = (attend_with(window).step for window in ("local_m(D=20)", None))
    np.testing.assert_array_equal(wide(query, attend_with("local_m").start)[1], none(query, attend_with(None).start)[1])
