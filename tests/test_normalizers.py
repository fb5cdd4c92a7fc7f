"""Weights of every normalizer: their definitions and the properties that all share."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from attention_steps import bind_component, close, one_step, softmax
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from attn_research.attention.normalizers import normalizers
from attn_research.registry import Spec

rng = np.random.default_rng(0)
Z = rng.normal(size=(3, 6)).astype(np.float32)
VISIBLE = np.array([[1, 1, 1, 1, 1, 1], [0, 1, 1, 0, 1, 0], [0, 0, 0, 0, 0, 0]], bool)
VARIANTS = [
    *normalizers.functions,
    "softmax(temperature=0.5)",
    "softmax(learned=True)",
    "sink(learned=False)",
    "top_k(k=2)",
    "gumbel(straight_through=True)",
    "entmax(alpha=1.2)",
    "entmax(alpha=2.2)",
    "entmax(learned=True)",
    "mocha(score='general', width=3)",
    "forward(agent=True)",
]
KEEPING = [spec for spec in VARIANTS if not normalizers.bind(Spec(spec)).traits.leaks]


@pytest.mark.parametrize(
    ("spec", "golden"),
    [
        ("softmax", [0.0486, 0.3592, 0.5922]),
        ("sparsemax", [0, 0.25, 0.75]),
        ("entmax", [0, 0.3260, 0.6740]),
        ("entmax(alpha=2)", [0, 0.25, 0.75]),
    ],
)
def test_weights_equal_golden_values(spec, golden):
    weights = one_step(spec, np.array([[-2, 0, 0.5]], np.float32), np.ones((1, 3), bool))
    np.testing.assert_allclose(weights[0], golden, atol=5e-5)


@jax.jit
def everything(z, visible):
    """Returns weights of all variants that keep padding at zero, and gradients of a weighted sum of them."""
    slope = jnp.arange(1.0, z.shape[1] + 1)[None] ** 2
    normalize = {spec: lambda z, spec=spec: one_step(spec, z, visible) for spec in KEEPING}
    gradients = {spec: jax.grad(lambda z, f=f: (f(z) * slope).sum())(z) for spec, f in normalize.items()}
    return {spec: f(z) for spec, f in normalize.items()}, gradients


@settings(max_examples=50)
@given(
    arrays(np.float32, (3, 6), elements=st.floats(-200, 200, width=32)),
    arrays(bool, (3, 6), elements=st.booleans()),
)
def test_weights_are_nonnegative_sum_to_their_mass_and_vanish_on_padding(z, visible):
    weights, gradients = jax.device_get(everything(z, visible))
    for spec in KEEPING:
        actual, total = weights[spec], weights[spec].sum(-1)
        assert (actual >= 0).all(), spec
        assert (actual[~visible] == 0).all(), spec
        assert (gradients[spec][~visible] == 0).all(), spec
        assert np.isfinite(gradients[spec]).all(), spec
        if normalizers.bind(Spec(spec)).traits.mass == "one":
            np.testing.assert_allclose(total, visible.any(-1), atol=2e-6, err_msg=spec)
        assert (total < 1 + 2e-6).all(), spec


@pytest.mark.parametrize("spec", [s for s in KEEPING if not normalizers.bind(Spec(s)).traits.remembers])
def test_the_order_of_the_source_does_not_matter(spec):
    order = rng.permutation(6)
    close(one_step(spec, Z[:, order], VISIBLE[:, order]), one_step(spec, Z, VISIBLE)[:, order])


@pytest.mark.parametrize("spec", ["softmax(temperature=0.5)", "softmax(temperature=0.5, learned=True)"])
def test_temperature_divides_the_logits(spec):
    close(one_step(spec, Z, VISIBLE), softmax(Z / 0.5, VISIBLE))


def test_a_learned_temperature_is_stored_as_its_logarithm():
    close(one_step("softmax(learned=True)", Z, VISIBLE, log_T=np.log(3.0)), softmax(Z / 3, VISIBLE))


def test_fill_takes_weight_if_real_logits_are_below_it():
    z, visible = np.array([[-3.0, -2.0, 5.0]], np.float32), np.array([[True, True, False]])
    close(one_step("filled_softmax", z, visible), softmax(np.array([[-3.0, -2.0, -np.inf]])))
    close(one_step("filled_softmax(fill=-1.0)", z, visible), softmax(np.array([[-3.0, -2.0, -1.0]])))
    close(one_step("filled_softmax", z, np.zeros((1, 3), bool)), np.full((1, 3), 1 / 3))


def test_leak_is_added_after_the_mask():
    raw = softmax(Z) * VISIBLE + 0.01
    close(one_step("leaky_softmax(leak=0.01)", Z, VISIBLE), raw / raw.sum(-1, keepdims=True))
    close(one_step("leaky_softmax", Z, VISIBLE)[:2], (softmax(Z, VISIBLE))[:2])


def test_the_sink_takes_the_remaining_mass():
    e = np.where(VISIBLE, np.exp(Z), 0)
    close(one_step("sink(logit=0.7)", Z, VISIBLE), e / (np.exp(0.7) + e.sum(-1, keepdims=True)))
    close(one_step("sink(learned=False)", Z, VISIBLE), e / (1 + e.sum(-1, keepdims=True)))
    gradient = jax.grad(lambda logit: one_step("sink", Z, VISIBLE, logit=logit).sum())(0.0)
    close(gradient, -(e.sum(-1) / (1 + e.sum(-1)) ** 2).sum())


def test_sigmoid_normalizes_the_sigmoids():
    s = np.where(VISIBLE, 1 / (1 + np.exp(-Z)), 0)
    close(one_step("sigmoid", Z, VISIBLE), s / np.maximum(s.sum(-1, keepdims=True), 1e-30))
    close(one_step("sigmoid", Z - 500, VISIBLE), softmax(Z, VISIBLE))


def test_top_k_is_the_softmax_of_the_k_largest():
    second = np.sort(np.where(VISIBLE, Z, -np.inf), -1)[:, -2:-1]
    close(one_step("top_k(k=2)", Z, VISIBLE), softmax(Z, VISIBLE & (second <= Z)))
    close(one_step("top_k(k=9)", Z, VISIBLE), softmax(Z, VISIBLE))


@pytest.mark.parametrize("spec", ["hard", "gumbel(straight_through=True)"])
def test_hard_weights_have_the_gradient_of_the_softmax(spec):
    weights = np.asarray(one_step(spec, Z, VISIBLE))
    chosen = np.where(VISIBLE, Z, -np.inf).argmax(-1)
    np.testing.assert_array_equal(weights, np.eye(6)[chosen] * VISIBLE.any(-1, keepdims=True))
    slope = rng.normal(size=(3, 6)).astype(np.float32)
    gradients = [jax.grad(lambda z, s=s: (one_step(s, z, VISIBLE) * slope).sum())(Z) for s in (spec, "softmax")]
    close(*gradients)


def test_gumbel_draws_only_in_training():
    close(one_step("gumbel(temperature=2.0)", Z, VISIBLE), softmax(Z / 2, VISIBLE))
    key = jax.random.PRNGKey(5)
    noise = np.asarray(jax.random.gumbel(key, (6, 3))).T
    close(one_step("gumbel(temperature=2.0)", Z, VISIBLE, key=key), softmax((Z + noise) / 2, VISIBLE))


@pytest.mark.parametrize("spec", ["gumbel", "monotonic(noise=1.0)"])
def test_noise_does_not_depend_on_padding(spec):
    key, longer = jax.random.PRNGKey(5), ((0, 0), (0, 4))
    padded = one_step(spec, np.pad(Z, longer), np.pad(VISIBLE, longer), key=key)
    close(padded[:, :6], one_step(spec, Z, VISIBLE, key=key))
    assert not np.allclose(one_step(spec, Z, VISIBLE, key=key), one_step(spec, Z, VISIBLE))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("softmax(temperature=0)", "temperature of normalizer 'softmax' is 0.0, but must be at least 1e-"),
        ("gumbel(temperature=-1)", "temperature of normalizer 'gumbel' is -1.0, but must be at least 1e-"),
        ("leaky_softmax(leak=0)", "leak of normalizer 'leaky_softmax' is 0.0, but must be at least 1e-"),
        ("top_k(k=0)", "k of normalizer 'top_k' is 0, but must be at least 1"),
        ("entmax(alpha=1)", "alpha of normalizer 'entmax' is 1.0, but must be at least 1.01 and at most 2.25"),
        ("entmax(alpha=2, learned=True)", "learned it must be between 1.01 and 2"),
        ("mocha(width=1)", "width of normalizer 'mocha' is 1, but must be at least 2"),
        ("monotonic(noise=-1)", "noise of normalizer 'monotonic' is -1.0, but must be at least 0"),
        ("clamped_forward(clamp=0)", "clamp of normalizer 'clamped_forward' is 0.0, but must be at least 1e-"),
        ("milk(score='location')", "score of normalizer 'milk' is 'location', but must attend, remember nothing"),
        ("mocha(score='none')", "score of normalizer 'mocha' is 'none', but must attend, remember nothing"),
    ],
)
def test_invalid_options_are_rejected(spec, message):
    with pytest.raises(ValueError, match=message):
        bind_component(spec, jnp.ones((1, 3, 2)))
