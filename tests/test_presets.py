"""Every preset compared with its system in plain NumPy, and presets on the command line."""

import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference_systems import SYSTEMS

from attn_research.attention.normalizers import normalizers
from attn_research.config import Config, field_types, override, parse_changes
from attn_research.models.cells import cells
from attn_research.models.decoder import Decoder
from attn_research.models.encoder import EncoderOutput
from attn_research.models.seq2seq import Seq2Seq, init_parameters
from attn_research.presets import PRESETS, preset

EMBEDDING, HIDDEN, STEPS, PADDED = 3, 4, 4, 5
LENGTHS = np.array([3, 5, 1, 0], np.int32)
ONE_LAYER = {"model.decoder.hidden": HIDDEN, "model.decoder.layers": 1}
every_preset = pytest.mark.parametrize("name", PRESETS)


@functools.cache
def decoder(name, changes=()):
    model = override(Config(), ONE_LAYER | preset(name) | dict(changes)).model
    return Decoder(model.decoder, model.attention, dropout=0.0)


def source(states, last):
    return EncoderOutput(states, jnp.asarray(LENGTHS), last, "both")


@functools.cache
def forced(one):
    """Returns a jitted (params, states, last, symbol vectors [t b e]) -> vectors [t b h], weights [t b s]."""
    return jax.jit(
        lambda params, states, last, ys: one.apply(params, source(states, last), EMBEDDING).teacher_force(ys)
    )


@functools.cache
def random_inputs(one):
    """Returns random parameters, encoder states, last states and symbol vectors, with nonzero biases and padding."""
    rng, b = np.random.default_rng(0), len(LENGTHS)
    parts = cells.bind(one.config.cell).traits.parts
    states, ys = rng.normal(size=(b, PADDED, HIDDEN)), rng.normal(size=(STEPS, b, EMBEDDING))
    states *= LENGTHS[:, None, None] > 0  # the encoder returns zeros for an empty sentence
    last = [tuple(rng.normal(size=(b, HIDDEN)) for _ in range(parts)) for _ in range(one.config.layers)]
    init = lambda key, states, last: one.init(key, source(states, last), EMBEDDING)  # noqa: E731
    shapes = jax.eval_shape(init, jax.random.PRNGKey(0), states, last)
    return jax.tree.map(lambda leaf: rng.normal(size=leaf.shape), shapes), states, last, ys


def check(system, one, dtype, tolerance):
    """Compares all steps of all sentences. If the original gives NaN, our weights are zero."""
    params, states, last, ys = random_inputs(one)
    with jax.enable_x64(dtype == jnp.float64):
        parameters = jax.tree.map(lambda x: jnp.asarray(x, dtype), (params, states, last, ys))
        vectors, weights = map(np.asarray, forced(one)(*parameters))
    assert vectors.dtype == weights.dtype == dtype
    for row, length in enumerate(LENGTHS):
        alone = [tuple(part[row] for part in layer) for layer in last]
        with np.errstate(invalid="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            expected = system(params["params"], states[row], np.arange(PADDED) < length, alone, ys[:, row])
        if np.isnan(expected[1]).any():
            assert length == 0
            assert np.isfinite(vectors[:, row]).all()
            assert (weights[:, row] == 0).all() or normalizers.bind(one.attention.normalizer).traits.leaks
            continue
        np.testing.assert_allclose(vectors[:, row], expected[0], atol=tolerance, rtol=0)
        np.testing.assert_allclose(weights[:, row], expected[1], atol=tolerance, rtol=0)


PRECISIONS = pytest.mark.parametrize(("dtype", "tolerance"), [(jnp.float64, 1e-12), (jnp.float32, 1e-5)])


@PRECISIONS
@every_preset
def test_a_preset_equals_its_system(name, dtype, tolerance):
    check(SYSTEMS[name], decoder(name), dtype, tolerance)


@PRECISIONS
def test_espnet_queries_with_the_lowest_layer(dtype, tolerance):
    two = {"model.decoder.placement": 'before(query="bottom")', "model.decoder.layers": 2}
    check(SYSTEMS["espnet_dot"], decoder("espnet_dot", tuple(two.items())), dtype, tolerance)


@every_preset
def test_a_preset_fits_the_default_config(name):
    jax.eval_shape(lambda: init_parameters(Seq2Seq(override(Config(), preset(name)).model, 9, 8), seed=0))


def test_only_fairseq_and_opennmt_general_are_equal():
    names = [name for name in PRESETS if name != "fairseq"]
    assert preset("fairseq") == preset("opennmt_general")
    assert len({override(Config(), preset(name)) for name in names}) == len(names)


def test_every_system_has_a_preset():
    assert PRESETS.keys() == SYSTEMS.keys()


SIZES = {"model.decoder.layers", "model.decoder.hidden"}
FIELDS = {field for field in field_types(Config()) if field.startswith(("model.attention.", "model.decoder."))}


@every_preset
def test_a_preset_sets_every_axis_and_no_size(name):
    """Its result does not depend on the config's own attention. Only the cell may stay unset."""
    assert FIELDS - SIZES - {"model.decoder.cell"} <= preset(name).keys() <= FIELDS - SIZES


def test_later_arguments_override_a_preset_and_vice_versa():
    config = override(Config(), parse_changes(["model.decoder.bridge=zero", "preset:fairseq", "seed=2"]))
    assert config == override(override(Config(), preset("fairseq")), {"seed": 2})
    changed = override(Config(), parse_changes(["preset:fairseq", "model.decoder.bridge=zero"]))
    assert changed.model.decoder.bridge == "zero"


def test_an_unknown_preset_is_reported_with_the_nearest():
    with pytest.raises(ValueError, match=r"unknown preset 'opennmt'; known: .*did you mean opennmt_"):
        parse_changes(["preset:opennmt"])
