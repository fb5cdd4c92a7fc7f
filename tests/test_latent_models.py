"""Models with latent attention: forcing, search, padding and invalid settings."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_models import run_stepwise

from attn_research.config import Config, Decode, override
from attn_research.data.vocab import EOS
from attn_research.decoding.search import greedy_search
from attn_research.models.output_normalizers import cross_entropy
from attn_research.models.seq2seq import Seq2Seq, init_parameters

LENGTHS = jnp.array([4, 1, 5, 0], jnp.int32)
SIZES = {"model.embedding": 5, "model.encoder.hidden": 6, "model.decoder.hidden": 6, "model.attention.score": "general"}
NO_FEEDING = {"model.decoder.input_feeding": "none"}
CONTEXT = {"model.decoder.input_feeding": "context", "model.decoder.placement": "before"}
HEADS = {"model.attention.heads": 2, "model.attention.output": 4, "model.attention.values": 8}
MODELS = {
    "hard": ("hard", CONTEXT | HEADS),
    "monotone": ("monotone", NO_FEEDING | HEADS),
    "hmm": ("hmm(band=2)", NO_FEEDING),
    "first": ('hmm(band=2, leak=0.01, monotone=True, start="first")', NO_FEEDING | {"model.attention.score": "dot"}),
}
every_model = pytest.mark.parametrize("case", MODELS)


def build(latent, **changes):
    return Seq2Seq(override(Config(), SIZES | changes | {"model.attention.latent": latent}).model, 11, 9)


def sources(padded=6, padding=0):
    symbols = np.random.default_rng(0).integers(4, 11, (4, 12))[:, :padded]
    return jnp.asarray(np.where(np.arange(padded)[None] < np.asarray(LENGTHS)[:, None], symbols, padding), jnp.int32)


def targets(size=4):
    symbols = np.random.default_rng(1).integers(4, 9, (4, 9))[:, :size]
    return jnp.asarray(np.where(np.arange(size)[None] < 4, symbols, 0), jnp.int32).at[:, 3].set(EOS)


@functools.cache
def compile_everything(case):
    """Returns parameters and a jitted (params, source, target) -> results of forcing, stepping, search and gradient."""
    latent, changes = MODELS[case]
    model = build(latent, **changes)

    def loss(params, source, target):
        logits, weights = model.apply(params, source, LENGTHS).teacher_force(target)
        return cross_entropy(logits, target, 0.0)[:4, :3].mean(), (logits, weights)

    def compute(params, source, target):
        session = model.apply(params, source, LENGTHS)
        steps = run_stepwise(session, target)
        (value, forced), gradient = jax.value_and_grad(loss, has_aux=True)(params, source, target)
        outputs = greedy_search(session, 6, LENGTHS, Decode(ratio=1.0, extra=3))
        return {"loss": value, "forced": forced, "gradient": gradient, "stepwise": steps, "greedy": outputs}

    return init_parameters(model, 0), jax.jit(compute)


@functools.cache
def result(case, padded=6, padding=0, size=4):
    params, compute = compile_everything(case)
    return jax.device_get(compute(params, sources(padded, padding), targets(size)))


@every_model
def test_step_by_step_equals_forcing(case):
    for stepped, forced in zip(result(case)["stepwise"], result(case)["forced"], strict=True):
        np.testing.assert_allclose(stepped, forced, atol=2e-6)


@every_model
def test_the_score_of_greedy_search_equals_that_of_forcing(case):
    outputs = result(case)["greedy"]
    symbols = outputs.symbols[:4]
    params, compute = compile_everything(case)
    logits, _ = jax.device_get(compute(params, sources(), jnp.asarray(symbols.T)))["forced"]
    short = np.asarray(outputs.lengths) <= 4
    log_p = np.take_along_axis(logits, symbols[..., None], -1)[..., 0] * (np.arange(4)[:, None] < outputs.lengths)
    assert short.sum() > 1
    np.testing.assert_allclose(log_p.sum(0)[short], outputs.log_probability[short], atol=1e-5)


@every_model
def test_padding_changes_nothing(case):
    plain = result(case)
    jax.tree.map(np.testing.assert_array_equal, result(case, padding=7), plain)
    longer = result(case, padded=10, size=6)  # source and target
    close = functools.partial(np.testing.assert_allclose, atol=2e-6)
    close(longer["forced"][0][:4, :3], plain["forced"][0][:, :3])
    close(longer["forced"][1][:4, :3, :6], plain["forced"][1][:, :3])
    assert not longer["forced"][1][:4, :3, 6:].any()
    close(longer["loss"], plain["loss"])
    jax.tree.map(close, longer["gradient"], plain["gradient"])


@every_model
def test_everything_is_finite_and_every_parameter_gets_a_gradient(case):
    for leaf in jax.tree.leaves(result(case)):
        assert np.isfinite(leaf).all()
    for path, leaf in jax.tree.leaves_with_path(result(case)["gradient"]):
        assert np.abs(leaf).max() > 0, path


@every_model
def test_outputs_are_log_probabilities(case):
    logits = result(case)["forced"][0][:, :3]
    np.testing.assert_allclose(jax.nn.log_softmax(jnp.asarray(logits)), logits, atol=2e-6)


def test_only_transitions_add_parameters():
    """All other parameters have the initial values of the model without latent attention."""
    trees = [init_parameters(build(latent, **NO_FEEDING), 0)["params"] for latent in (None, "hard", "hmm")]
    assert set(trees[2]["decoder"]["attention"].pop("latent")) == {"W", "b"}
    for tree in trees[1:]:
        jax.tree.map(np.testing.assert_array_equal, tree, trees[0])


def test_dropout_drops_the_same_units_at_every_source_position():
    model = build("hard", **NO_FEEDING | {"model.dropout": 0.5})
    params = init_parameters(model, 0)
    values = []

    def output(vectors):
        values.append(vectors)
        return vectors

    rngs = {"dropout": jax.random.PRNGKey(1)}
    model.apply(params, sources(), LENGTHS, rngs=rngs)._replace(output=output).teacher_force(targets())
    dropped = np.asarray(values[0] == 0)[:, :3]  # [t b s a]
    assert 0.2 < dropped.mean() < 0.8
    assert (dropped == dropped[:, :, :1]).all()


INVALID = {
    "attentional": ("hard", {}, ["'attentional'", "'hard'", "model.decoder.input_feeding=none"]),
    "context of a chain": ("hmm", {"model.decoder.input_feeding": "context"}, ["'hmm'", "placement=after"]),
    "placement of a chain": ("monotone", CONTEXT, ["'monotone'", "placement=after", "hard"]),
    "combination": ("hard", NO_FEEDING | {"model.decoder.combination": "none"}, ["'hard'", "'none'", "context"]),
    "no attention": ("hard", NO_FEEDING | {"model.attention.score": "none"}, ["model.attention.latent", "'none'"]),
    "band": ("hmm(band=0)", NO_FEEDING, ["band", "0", "at least 1"]),
    "unread score": ('hmm(start="first")', NO_FEEDING, ["model.attention.score has no effect", "reads no weights"]),
    "unread keys": (
        'hmm(start="first")',
        NO_FEEDING | {"model.attention.score": "dot", "model.attention.keys": 6},
        ["model.attention.keys has no effect"],
    ),
    "name": ("hrd", NO_FEEDING, ["'hrd'", "did you mean hard"]),
}


@pytest.mark.parametrize("case", INVALID)
def test_invalid_combinations_are_rejected_in_one_sentence(case):
    latent, changes, words = INVALID[case]
    with pytest.raises(ValueError) as error:
        jax.eval_shape(lambda: init_parameters(build(latent, **changes), seed=0))
    assert "\n" not in str(error.value)
    assert all(word in str(error.value) for word in words), str(error.value)
