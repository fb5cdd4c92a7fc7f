"""Bridges compared with plain NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from encoder_outputs import LENGTHS, B, E, H, S, close, encoder_output, random_array, random_parameters

from attn_research import config
from attn_research.models.bridges import bridges
from attn_research.models.encoder import Encoder, EncoderOutput
from attn_research.registry import Spec


def run_bridge(spec, encoded, layers, parts, hidden):
    param, p = random_parameters()
    return bridges.bind(Spec(spec))(param, encoded, layers, parts, hidden), p


def test_dense_projects_the_top_layer_to_each_array():
    states, p = run_bridge("dense", encoder_output(layers=2), 2, 2, 6)
    close(np.concatenate([*states[0], *states[1]], -1), np.tanh(random_array((B, H), 10) @ p["W"] + p["b"]))


def test_shared_dense_gives_all_arrays_the_same_value():
    states, p = run_bridge("dense(shared=True)", encoder_output(), 2, 2, 6)
    for array in (*states[0], *states[1]):
        close(array, np.tanh(random_array((B, H)) @ p["W"] + p["b"]))


def test_dense_of_each_layer_reads_the_same_encoder_layer():
    encoded = encoder_output(layers=2, parts=2)
    states, p = run_bridge('dense(reads="each")', encoded, 2, 1, 6)
    for n in range(2):
        close(states[n][0], np.tanh(random_array((B, H), 10 * n + 1) @ p[f"W_{n}"] + p[f"b_{n}"]))


def test_dense_backward_reads_the_backward_state_of_the_first_symbol():
    encoder = Encoder(config.Encoder(Spec("gru"), 1, H, "both"), 0.0)
    real = jnp.arange(S)[:, None] < jnp.asarray(LENGTHS)[None]
    (states, last), _ = encoder.init_with_output(jax.random.PRNGKey(0), jnp.asarray(random_array((S, B, E))), real)
    encoded = EncoderOutput(states.swapaxes(0, 1), jnp.asarray(LENGTHS), last, "both")
    ((first,),), p = run_bridge('dense(reads="backward")', encoded, 1, 1, 6)
    close(first, np.tanh(np.asarray(states[0][:, H // 2 :]) @ p["W"] + p["b"]))


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
@pytest.mark.parametrize(
    ("layers", "parts", "direction"), [(1, 2, "both"), (2, 2, "both"), (3, 1, "both"), (2, 1, "forward")]
)
def test_relu_equals_opennmts_bridge(layers, parts, direction, dtype, tolerance):
    """OpenNMT views states [layers * directions, b, h], batch first, as rows of layers * h, and back after a layer."""
    ways = 2 if direction == "both" else 1
    with jax.enable_x64(dtype == np.float64):
        encoded = encoder_output(layers=layers, parts=parts, direction=direction)
        encoded = encoded._replace(last=[tuple(jnp.asarray(x, dtype) for x in layer) for layer in encoded.last])
        states, p = run_bridge("relu", encoded, layers, parts, H)
        actual, last = jax.device_get((states, encoded.last))
    for part in range(parts):
        torch_like = np.stack([x for layer in last for x in np.split(np.float64(layer[part]), ways, -1)])
        rows = torch_like.transpose(1, 0, 2).reshape(-1, layers * H // ways)
        out = np.maximum(rows @ np.float64(p[f"W_{part}"]) + p[f"b_{part}"], 0)
        out = out.reshape(B, layers * ways, H // ways).transpose(1, 0, 2)
        for layer in range(layers):
            expected = np.concatenate(out[layer * ways : (layer + 1) * ways], -1)
            np.testing.assert_allclose(actual[layer][part], expected, atol=tolerance, rtol=0)
            assert actual[layer][part].dtype == dtype and (expected > 0).any()


@pytest.mark.parametrize("parts", [1, 2])
def test_linear_projects_each_layer_with_the_same_matrices(parts):
    states, p = run_bridge("linear", encoder_output(layers=3, parts=parts), 3, parts, 6)
    for layer in range(3):
        for part in range(parts):
            close(states[layer][part], random_array((B, H), 10 * layer + part) @ p[f"W_{part}"] + p[f"b_{part}"])
    with pytest.raises(ValueError, match=r"encoder has 1 layer\(s\) of 1 array\(s\) and the decoder 2 of 1"):
        run_bridge("linear", encoder_output(), 2, 1, 6)


def test_mean_ignores_padding():
    ((first,),), p = run_bridge("mean", encoder_output(), 1, 1, 6)
    mean = np.stack(
        [row[:length].mean(0) for row, length in zip(np.asarray(encoder_output().states), LENGTHS, strict=True)]
    )
    close(first, np.tanh(mean @ p["W"] + p["b"]))
    for other in (encoder_output(padding=np.nan), encoder_output(padding=9.0, padded=S + 3)):
        np.testing.assert_array_equal(run_bridge("mean", other, 1, 1, 6)[0][0][0], first)


def test_mean_of_no_states_is_finite():
    empty = encoder_output()._replace(lengths=jnp.zeros(B, jnp.int32))
    assert np.isfinite(run_bridge("mean", empty, 1, 1, 6)[0][0][0]).all()
