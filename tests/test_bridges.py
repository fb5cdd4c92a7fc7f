"""Bridges against plain numpy."""

import jax
import jax.numpy as jnp
import numpy as np
from encoded import LENGTHS, B, E, H, S, close, given, numbers, source

from attn_research import config
from attn_research.models.bridges import bridges
from attn_research.models.encoder import Encoded, Encoder
from attn_research.registry import Spec


def made(spec, encoded, layers, parts, hidden):
    param, p = given()
    return bridges.bind(Spec(spec))(param, encoded, layers, parts, hidden), p


def test_dense_has_a_matrix_for_each_array_of_the_top_layers_output():
    states, p = made("dense", source(layers=2), 2, 2, 6)
    close(np.concatenate([*states[0], *states[1]], -1), np.tanh(numbers((B, H), 10) @ p["W"] + p["b"]))


def test_dense_shared_gives_every_array_the_same():
    states, p = made("dense(shared=True)", source(), 2, 2, 6)
    for array in (*states[0], *states[1]):
        close(array, np.tanh(numbers((B, H)) @ p["W"] + p["b"]))


def test_dense_of_each_layer_reads_the_encoder_layer_of_its_height():
    encoded = source(layers=2, parts=2)
    states, p = made('dense(reads="each")', encoded, 2, 1, 6)
    for n in range(2):
        close(states[n][0], np.tanh(numbers((B, H), 10 * n + 1) @ p[f"W_{n}"] + p[f"b_{n}"]))


def test_dense_backward_reads_the_backward_state_of_the_first_symbol():
    encoder = Encoder(config.Encoder(Spec("gru"), 1, H, "both"), 0.0)
    real = jnp.arange(S)[:, None] < jnp.asarray(LENGTHS)[None]
    (states, last), _ = encoder.init_with_output(jax.random.PRNGKey(0), jnp.asarray(numbers((S, B, E))), real)
    encoded = Encoded(states.swapaxes(0, 1), jnp.asarray(LENGTHS), last, "both")
    ((first,),), p = made('dense(reads="backward")', encoded, 1, 1, 6)
    close(first, np.tanh(np.asarray(states[0][:, H // 2 :]) @ p["W"] + p["b"]))


def test_mean_is_over_the_real_states_and_padding_is_invisible():
    ((first,),), p = made("mean", source(), 1, 1, 6)
    mean = np.stack([row[:length].mean(0) for row, length in zip(np.asarray(source().states), LENGTHS, strict=True)])
    close(first, np.tanh(mean @ p["W"] + p["b"]))
    for other in (source(padding=np.nan), source(padding=9.0, padded=S + 3)):
        np.testing.assert_array_equal(made("mean", other, 1, 1, 6)[0][0][0], first)


def test_mean_of_no_states_is_finite():
    empty = source()._replace(lengths=jnp.zeros(B, jnp.int32))
    assert np.isfinite(made("mean", empty, 1, 1, 6)[0][0][0]).all()
