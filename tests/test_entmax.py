"""Sparse normalizers compared with bisection in NumPy; gradients with finite differences in float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attn_research.attention.entmax import Alpha, solve_bisect, solve_entmax15, solve_sparsemax, solve_with_gradient

rng = np.random.default_rng(0)
Z = rng.normal(size=(4, 7)) * np.array([[0.1], [1.0], [3.0], [1.0]])
VISIBLE = np.arange(7)[None] < np.array([[7], [5], [7], [0]])
SOLVERS = [
    (solve_sparsemax, 2.0),
    (solve_entmax15, 1.5),
    (solve_bisect, 1.05),
    (solve_bisect, 1.3),
    (solve_bisect, 1.5),
    (solve_bisect, 2.0),
    (solve_bisect, 3.0),
]
every_solver = pytest.mark.parametrize(("solve", "alpha"), SOLVERS, ids=lambda x: getattr(x, "__name__", str(x)))


def brute(z, alpha):
    """Solves one row by a hundred bisections of the threshold tau."""
    z = (alpha - 1) * z
    low, high = z.max() - 1, z.max()
    for _ in range(100):
        tau = (low + high) / 2
        p = np.maximum(z - tau, 0) ** (1 / (alpha - 1))
        low, high = (tau, high) if p.sum() >= 1 else (low, tau)
    return p


@functools.partial(jax.jit, static_argnums=0)
def run_solver(solve, z, alpha, visible=VISIBLE):
    return solve_with_gradient(solve, z, jnp.asarray(visible), jnp.asarray(alpha, z.dtype))


@every_solver
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_equal_those_of_bisection(solve, alpha, dtype):
    with jax.enable_x64(True):
        weights = np.asarray(run_solver(solve, Z.astype(dtype), alpha))
    assert weights.dtype == dtype
    for row, z, visible in zip(weights, Z, VISIBLE, strict=True):
        expected = brute(z[visible], alpha) if visible.any() else []
        np.testing.assert_allclose(row[visible], expected, atol=1e-5 if dtype == np.float32 else 1e-10)
        assert (row[~visible] == 0).all()


@every_solver
def test_gradients_equal_finite_differences(solve, alpha):
    slope = rng.normal(size=Z.shape)
    with jax.enable_x64(True):
        loss = lambda z, alpha: (run_solver(solve, z, alpha) * slope).sum()  # noqa: E731
        by_z, by_alpha = jax.grad(loss, argnums=(0, 1))(Z, alpha)
        direction = rng.normal(size=Z.shape)
        along = (loss(Z + 1e-6 * direction, alpha) - loss(Z - 1e-6 * direction, alpha)) / 2e-6
        np.testing.assert_allclose((by_z * direction).sum(), along, rtol=1e-6, atol=1e-8)
        if solve is solve_bisect:
            along = (loss(Z, alpha + 1e-6) - loss(Z, alpha - 1e-6)) / 2e-6
            np.testing.assert_allclose(by_alpha, along, rtol=1e-6, atol=1e-7)


def test_sorting_and_bisection_agree_on_long_rows():
    z, visible = 5 * rng.normal(size=(3, 300)).astype(np.float32), rng.random((3, 300)) < 0.9
    for solve, alpha in SOLVERS[:2]:
        halved = run_solver(solve_bisect, z, alpha, visible)
        np.testing.assert_allclose(run_solver(solve, z, alpha, visible), halved, atol=2e-6)


def test_alpha_near_one_gives_the_softmax():
    expected = jax.nn.softmax(jnp.asarray(Z), where=VISIBLE)
    np.testing.assert_allclose(run_solver(solve_bisect, Z.astype(np.float32), 1.001), expected, atol=5e-3)


@every_solver
def test_equal_logits_share_and_a_far_larger_one_takes_all(solve, alpha):
    even = np.full((4, 7), 3e4, np.float32)
    np.testing.assert_allclose(run_solver(solve, even, alpha)[1], VISIBLE[1] / 5, atol=1e-6)
    even[:, 2] = 6e4
    np.testing.assert_array_equal(run_solver(solve, even, alpha)[0], np.eye(7)[2])


@pytest.mark.parametrize("alpha", [1.01, 1.1, 1.9, 2.25])
def test_weights_are_accurate_over_the_range_of_alpha(alpha):
    assert alpha in Alpha.__metadata__[0]
    pairs = np.stack([np.zeros(300), -np.linspace(0, 1.2, 300)], -1)
    rows = np.random.default_rng(1).normal(size=(300, 2)) * np.repeat([[0.1], [1.0], [30.0]], 100, axis=0)
    z = np.concatenate([pairs, rows]).astype(np.float32)
    weights = np.asarray(run_solver(solve_bisect, z, alpha, np.ones(z.shape, bool)))
    for row, one in zip(weights, z.astype(np.float64), strict=True):
        np.testing.assert_allclose(row, brute(one, alpha), atol=1e-5)
