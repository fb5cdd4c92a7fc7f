"""A run in float64 rounds nothing to float32. Finite differences of the loss would show it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_models import SIZES, batch, parameters

from attn_research.config import Config, override
from attn_research.models.output_normalizers import cross_entropy
from attn_research.models.seq2seq import Seq2Seq
from attn_research.training import auxiliary
from attn_research.training.step import init_state, make_train_step, token_mask

LATENT = {"model.decoder.input_feeding": "none"}
CASES = {
    "plain": {"train.label_smoothing": 0.1, "train.auxiliary.coverage": 0.5, "train.auxiliary.entropy": 0.5},
    "mocha": {"model.attention.normalizer": "mocha"},
    "hard": LATENT | {"model.attention.latent": "hard"},
    "monotone": LATENT | {"model.attention.latent": "monotone"},
    "hmm": LATENT | {"model.attention.latent": 'hmm(leak=1e-07, start="first")', "model.attention.score": "dot"},
}
SLOW = ("mocha", "hard", "monotone")


@functools.cache
def run(case):
    """Returns config, model, parameters in float64, and a jitted function: loss of a small batch with gradient."""
    config = override(Config(), SIZES | {"model.attention.score": "concat"} | CASES[case])
    one, rows = Seq2Seq(config.model, 11, 9), batch()
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64) / 4, parameters(one, 0))

    @jax.jit
    @jax.value_and_grad
    def loss(params):
        logits, weights = one.apply(params, rows.source, rows.source_lengths).teacher_force(rows.target)
        mask = token_mask(rows)
        value = (cross_entropy(logits, rows.target, config.train.label_smoothing) * mask).sum() / mask.sum()
        return auxiliary.total_loss(config.train, value, auxiliary.losses(config.train, weights, mask, None))

    return config, one, params, loss


def test_cross_entropy_equals_that_of_numpy():
    rng = np.random.default_rng(0)
    logits, target = rng.normal(size=(3, 2, 5)), rng.integers(0, 5, (2, 3))
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    chosen = np.take_along_axis(log_p, target.T[..., None], -1)[..., 0]
    for dtype, tolerance in ((np.float64, 1e-12), (np.float32, 1e-5)):
        with jax.enable_x64(dtype == np.float64):
            actual = cross_entropy(jnp.asarray(logits, dtype), jnp.asarray(target), 0.1)
        assert actual.dtype == dtype
        np.testing.assert_allclose(actual, -0.9 * chosen - 0.1 * log_p.mean(-1), atol=tolerance, rtol=0)


@pytest.mark.parametrize("case", ["plain", *(pytest.param(case, marks=pytest.mark.slow) for case in SLOW), "hmm"])
def test_the_slope_of_the_loss_has_float64_accuracy(case):
    """Central differences with step 1e-6 are exact to 1e-8. Rounding to float32 would give noise of 0.05."""
    _, _, params, loss = run(case)
    rng = np.random.default_rng(1)
    direction = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape), params)
    with jax.enable_x64(True):
        moved = [jax.tree.map(lambda p, w, h=h: p + h * w, params, direction) for h in (0, 1e-6, -1e-6)]
        (value, gradient), *ends = [jax.device_get(loss(point)) for point in moved]
    assert value.dtype == np.float64
    along = sum(jax.tree.leaves(jax.tree.map(lambda g, w: (g * w).sum(), gradient, direction)))
    np.testing.assert_allclose((ends[0][0] - ends[1][0]) / 2e-6, along, rtol=1e-6, atol=1e-7)


def test_a_step_keeps_float64():
    config, one, params, loss = run("plain")
    with jax.enable_x64(True):
        expected = float(loss(params)[0])
        state, metrics = make_train_step(one, config.train)(init_state(params, config.train, 0), batch())
        parts = {name: metrics[f"auxiliary/{name}"] for name in ("coverage", "entropy")}
        total = auxiliary.total_loss(config.train, metrics["loss"], parts)
        np.testing.assert_allclose(float(total), expected, rtol=1e-12)
    assert {leaf.dtype for leaf in jax.tree.leaves(state.params)} == {np.dtype(np.float64)}
    assert state.peak.dtype == np.float64 and float(state.peak) == config.train.learning_rate
