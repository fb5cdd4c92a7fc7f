"""Every preset against the system it is named after, written in plain numpy; and the grammar that names them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from references import SYSTEMS

from attn_research.config import Config, flat, hints, override, parse_changes
from attn_research.models.cells import cells
from attn_research.models.decoder import Decoder
from attn_research.presets import PRESETS, preset

EMBEDDING, HIDDEN, STEPS, PADDED = 3, 4, 4, 5
LENGTHS = np.array([3, 5, 1], np.int32)
every_preset = pytest.mark.parametrize("name", PRESETS)


@functools.cache
def decoder(name):
    model = override(Config(), {"model.decoder.hidden": HIDDEN} | preset(name)).model
    return Decoder(model.decoder, model.attention, dropout=0.0)


@functools.cache
def forced(name):
    """Jitted (params, states, last, symbol vectors [t b e]) -> vectors [t b h], weights [t b s]."""

    def force(params, states, last, ys):
        return decoder(name).apply(params, states, jnp.asarray(LENGTHS), last, EMBEDDING).force(ys)

    return jax.jit(force)


@functools.cache
def drawn(name):
    """Random parameters, encoder states, last states and symbol vectors; neither biases nor padding are zero."""
    rng = np.random.default_rng(0)
    one, b = decoder(name), len(LENGTHS)
    parts = cells.bind(one.config.cell).traits.parts
    states, ys = rng.normal(size=(b, PADDED, HIDDEN)), rng.normal(size=(STEPS, b, EMBEDDING))
    last = [tuple(rng.normal(size=(b, HIDDEN)) for _ in range(parts))]
    init = functools.partial(one.init, embedding=EMBEDDING)
    shapes = jax.eval_shape(init, jax.random.PRNGKey(0), states, LENGTHS, last)
    return jax.tree.map(lambda leaf: rng.normal(size=leaf.shape), shapes), states, last, ys


@pytest.mark.parametrize(("dtype", "tolerance"), [(jnp.float64, 1e-12), (jnp.float32, 1e-5)])
@every_preset
def test_a_preset_is_its_system(name, dtype, tolerance):
    params, states, last, ys = drawn(name)
    with jax.enable_x64(dtype == jnp.float64):
        given = jax.tree.map(lambda x: jnp.asarray(x, dtype), (params, states, last, ys))
        vectors, weights = forced(name)(*given)
    assert vectors.dtype == weights.dtype == dtype
    for row, length in enumerate(LENGTHS):
        alone = [tuple(part[row] for part in layer) for layer in last]
        real = np.arange(PADDED) < length
        expected = SYSTEMS[name](params["params"], states[row], real, alone, ys[:, row])
        np.testing.assert_allclose(vectors[:, row], expected[0], atol=tolerance, rtol=0)
        np.testing.assert_allclose(weights[:, row], expected[1], atol=tolerance, rtol=0)
        assert np.ptp(expected[1][:, real], axis=1).max() > 0.1 or length == 1


def test_every_system_has_a_preset():
    assert PRESETS.keys() == SYSTEMS.keys()


SIZES = {"model.decoder.layers", "model.decoder.hidden"}
FIELDS = {field for field in hints(Config()) if field.startswith(("model.attention.", "model.decoder."))}


@every_preset
def test_a_preset_says_every_axis_and_no_size(name):
    """What it makes of a config does not depend on the config's own attention; the cell may stay as it is."""
    assert FIELDS - SIZES - {"model.decoder.cell"} <= preset(name).keys() <= FIELDS - SIZES


def test_a_preset_is_a_word_among_others_and_the_later_word_counts():
    config = override(Config(), parse_changes(["model.decoder.bridge=zero", "preset:fairseq", "seed=2"]))
    assert config == override(override(Config(), preset("fairseq")), {"seed": 2})
    changed = override(Config(), parse_changes(["preset:fairseq", "model.decoder.bridge=zero"]))
    assert changed.model.decoder.bridge == "zero"


def test_an_unknown_preset_is_told_the_nearest():
    with pytest.raises(ValueError, match="unknown preset 'opennmt'; known: .*did you mean opennmt_"):
        parse_changes(["preset:opennmt"])
