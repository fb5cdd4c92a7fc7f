"""`top_k` by blocks equals `jax.lax.top_k`, also with ties and infinities."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attn_research.decoding.beam import BLOCK, top_k


@pytest.mark.parametrize("n", [7, 3 * BLOCK, 3 * BLOCK + 1, 12 * BLOCK, 1234])
@pytest.mark.parametrize("different", [3, 10**6])
def test_top_k_equals_a_flat_search(n, different):
    rng = np.random.default_rng(n)
    values = rng.integers(0, different, (2, 5, n)).astype(np.float32)
    values[0, :2] = -np.inf
    values[0, 1, n - 1] = 1
    for actual, flat in zip(top_k(jnp.asarray(values), 3), jax.lax.top_k(values, 3), strict=True):
        np.testing.assert_array_equal(actual, flat)
