"""Random encoder outputs and parameters for comparisons with plain NumPy."""

import jax.numpy as jnp
import numpy as np

from attn_research.models.encoder import EncoderOutput

B, S, T, E, H = 3, 5, 4, 3, 4
LENGTHS = np.array([4, 1, 5])


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def random_array(shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(np.float32)


def encoder_output(padding=0.0, padded=S, layers=1, parts=1, direction="both"):
    """Returns random encoder states, `padding` behind their ends, and independent last states."""
    states = random_array((B, S, H))
    real = np.arange(S)[None, :, None] < LENGTHS[:, None, None]
    states = np.pad(np.where(real, states, padding), ((0, 0), (0, padded - S), (0, 0)), constant_values=padding)
    last = [tuple(jnp.asarray(random_array((B, H), 10 * n + m)) for m in range(parts)) for n in range(layers)]
    return EncoderOutput(jnp.asarray(states, jnp.float32), jnp.asarray(LENGTHS), last, direction)


def random_parameters():
    """Returns a `param` function that draws random arrays, and the dictionary of these arrays."""
    arrays = {}

    def param(name, init, shape):
        return jnp.asarray(arrays.setdefault(name, random_array(shape, sum(map(ord, name)))))

    return param, arrays
