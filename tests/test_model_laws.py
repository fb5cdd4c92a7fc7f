"""The laws of whole models, for a few scores with every placement.

test_laws.py has the laws of attention for all components. Each model here is compiled once for all its laws, and twice
for the law of padded lengths.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_models import LENGTHS, SIZES, batch, run_stepwise

from attn_research.attention.scores import scores
from attn_research.config import Config, Decode, override
from attn_research.decoding.outputs import writable
from attn_research.decoding.search import greedy_search
from attn_research.models.output_normalizers import cross_entropy
from attn_research.models.seq2seq import Seq2Seq, init_parameters
from attn_research.registry import Spec
from attn_research.training.step import token_mask

PLACEMENTS = {
    "luong": {},
    "no_feeding": {"model.decoder.input_feeding": "none"},
    "bahdanau": {"model.decoder.placement": "before", "model.decoder.input_feeding": "none"},
    "context": {"model.decoder.input_feeding": "context", "model.decoder.combination": "linear"},
    "projected": {"model.attention.keys": 6, "model.attention.values": 4},
    "conditional": {
        "model.decoder.placement": "between",
        "model.decoder.input_feeding": "none",
        "model.decoder.combination": "readout",
        "model.decoder.bridge": "mean",
    },
    "bottom": {"model.decoder.placement": "bottom", "model.decoder.layers": 2, "model.decoder.combination": "maxout"},
    "hmm": {"model.attention.latent": "hmm", "model.decoder.input_feeding": "none"},
}
DECODE = Decode(ratio=1.0, extra=3)


def variants() -> list[tuple[Spec, str]]:
    """Returns scores that differ to a model: with and without length limit, history, attention, all steps at once."""
    remembering = [Spec(name) for name in scores.functions if scores.bind(Spec(name)).traits.remembers]
    pairs = [(Spec("general"), placement) for placement in PLACEMENTS if placement != "projected"]
    pairs += [(Spec("location"), "luong"), (Spec("concat"), "projected")]
    pairs += [(Spec("none"), "no_feeding"), (Spec("none(feed='input')"), "luong")]
    return pairs + [(spec, "no_feeding") for spec in remembering[:1]]


every_variant = pytest.mark.parametrize(("spec", "placement"), variants(), ids=str)


@functools.cache
def model(spec: Spec, placement: str) -> Seq2Seq:
    config = override(Config(), SIZES | PLACEMENTS[placement] | {"model.attention.score": spec}).model
    return Seq2Seq(config, source_size=11, target_size=9)


@functools.cache
def parameters(spec: Spec, placement: str):
    return init_parameters(model(spec, placement), seed=3)


@functools.cache
def compile_everything(spec: Spec, placement: str):
    """Returns a jitted (params, batch) -> logits, weights, greedy outputs, loss, gradient."""

    def loss(params, batch):
        logits, weights = (
            model(spec, placement).apply(params, batch.source, batch.source_lengths).teacher_force(batch.target)
        )
        mask = token_mask(batch)
        return (cross_entropy(logits, batch.target, 0.0) * mask).sum() / mask.sum(), (logits, weights)

    def compute(params, batch):
        session = model(spec, placement).apply(params, batch.source, batch.source_lengths)
        outputs = greedy_search(session, 6, batch.source_lengths, DECODE)
        (value, (logits, weights)), gradient = jax.value_and_grad(loss, has_aux=True)(params, batch)
        steps = run_stepwise(session, batch.target)
        actual = {"logits": logits, "weights": weights, "greedy": outputs, "loss": value, "gradient": gradient}
        return actual | {"stepwise": steps}

    return jax.jit(compute)


@functools.cache
def result(spec: Spec, placement: str):
    return jax.device_get(compile_everything(spec, placement)(parameters(spec, placement), batch()))


def attends(spec: Spec) -> bool:
    return scores.bind(spec).traits.attends


@every_variant
def test_weights_are_a_distribution_over_real_positions(spec, placement):
    weights = result(spec, placement)["weights"]  # [t b s]
    if not attends(spec):
        assert weights.shape[-1] == 0
        return
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(-1), np.broadcast_to(LENGTHS > 0, (5, 4)), atol=1e-6)
    assert (weights[:, np.arange(6)[None] >= LENGTHS[:, None]] == 0).all()


@every_variant
def test_everything_is_finite_with_one_symbol_and_with_none(spec, placement):
    for leaf in jax.tree.leaves(result(spec, placement)):
        assert np.isfinite(leaf).all()


@every_variant
def test_the_content_of_padding_changes_nothing(spec, placement):
    other = jax.device_get(compile_everything(spec, placement)(parameters(spec, placement), batch(padding=7)))
    jax.tree.map(np.testing.assert_array_equal, other, result(spec, placement))


@every_variant
def test_the_padded_length_changes_nothing(spec, placement):
    longer = jax.device_get(compile_everything(spec, placement)(parameters(spec, placement), batch(padded=10)))
    same = result(spec, placement)
    close = functools.partial(np.testing.assert_allclose, atol=2e-6)
    close(longer["logits"], same["logits"])
    close(longer["weights"][..., :6], same["weights"])
    jax.tree.map(close, longer["gradient"], same["gradient"])
    np.testing.assert_array_equal(longer["greedy"].symbols, same["greedy"].symbols)
    close(longer["greedy"].log_probability, same["greedy"].log_probability)


@every_variant
def test_other_sentences_of_the_batch_change_nothing(spec, placement):
    order = np.array([2, 0, 3, 1])
    moved = jax.device_get(
        compile_everything(spec, placement)(parameters(spec, placement), jax.tree.map(lambda x: x[order], batch()))
    )
    alone = jax.tree.map(lambda x: np.repeat(x[:1], 4, axis=0), batch())
    single = jax.device_get(compile_everything(spec, placement)(parameters(spec, placement), alone))
    same = result(spec, placement)
    np.testing.assert_allclose(moved["logits"], same["logits"][:, order], atol=2e-6)
    np.testing.assert_allclose(single["logits"][:, 0], same["logits"][:, 0], atol=2e-6)
    np.testing.assert_array_equal(moved["greedy"].symbols, same["greedy"].symbols[:, order])


@every_variant
def test_every_parameter_gets_a_gradient(spec, placement):
    zero = [
        jax.tree_util.keystr(path)
        for path, leaf in jax.tree.leaves_with_path(result(spec, placement)["gradient"])
        if leaf.size and not np.abs(leaf).max() > 0
    ]
    assert not zero


@every_variant
def test_step_by_step_equals_all_steps_at_once(spec, placement):
    """`teacher_force` computes all steps at once if no step depends on the previous one; otherwise it scans."""
    logits, weights = result(spec, placement)["stepwise"]
    np.testing.assert_allclose(logits, result(spec, placement)["logits"], atol=2e-6)
    np.testing.assert_allclose(weights, result(spec, placement)["weights"], atol=2e-6)


@every_variant
def test_greedy_takes_the_most_likely_symbols_and_its_score_equals_forcing(spec, placement):
    outputs = result(spec, placement)["greedy"]
    symbols = outputs.symbols[:5].T
    forced = batch()._replace(target=jnp.asarray(symbols), target_lengths=jnp.minimum(outputs.lengths, 5))
    logits = jax.device_get(compile_everything(spec, placement)(parameters(spec, placement), forced))["logits"]
    real = np.arange(5)[:, None] < outputs.lengths[None]
    likeliest = np.asarray(writable(jnp.asarray(logits))).argmax(-1)
    np.testing.assert_array_equal(np.where(real, likeliest, 0), symbols.T)
    log_p = np.take_along_axis(np.asarray(jax.nn.log_softmax(logits)), likeliest[..., None], -1)[..., 0]
    short = outputs.lengths <= 5
    np.testing.assert_allclose((log_p * real).sum(0)[short], outputs.log_probability[short], atol=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {"model.attention.normalizer": "mocha"},
        {"model.attention.normalizer": "entmax(learned=True)", "model.attention.window": "local_p"},
        {"model.attention.heads": 2, "model.attention.output": 6},
    ],
    ids=str,
)
def test_attention_settings_change_nothing_outside_the_attention(changes):
    def outside(changes):
        config = override(Config(), SIZES | {"model.attention.score": "general"} | changes).model
        leaves = jax.tree.leaves_with_path(init_parameters(Seq2Seq(config, source_size=11, target_size=9), seed=3))
        names = {jax.tree_util.keystr(path): leaf for path, leaf in leaves}
        return {name: leaf for name, leaf in names.items() if "['attention']" not in name}

    jax.tree.map(np.testing.assert_array_equal, outside(changes), outside({}))


def test_scores_change_nothing_outside_the_attention():
    """They have the same tree, and the same initial values if the shapes are equal."""

    def outside(spec):
        leaves = jax.tree.leaves_with_path(parameters(spec, "luong"))
        names = {jax.tree_util.keystr(path): leaf for path, leaf in leaves}
        return {name: leaf for name, leaf in names.items() if "['attention']['score']" not in name}

    first = outside(Spec("dot"))
    for spec in map(Spec, scores.functions):
        leaves = outside(spec)
        assert leaves.keys() == first.keys()
        for name, leaf in leaves.items():
            assert leaf.shape == first[name].shape or not attends(spec)
            if leaf.shape == first[name].shape:
                np.testing.assert_array_equal(leaf, first[name])


def test_dropout_masks_do_not_depend_on_the_score():
    def dropped(spec):
        changes = SIZES | {"model.dropout": 0.5, "model.attention.score": spec}
        one = Seq2Seq(override(Config(), changes).model, source_size=11, target_size=9)
        rngs = {"dropout": jax.random.PRNGKey(1)}

        @jax.jit
        def output(params):
            session = one.apply(params, batch().source, batch().source_lengths, rngs=rngs)
            ones = jnp.ones((5, 4, 6))
            return session.start.cells, session.drop_symbols(ones), session.drop_vectors(ones)

        return output(init_parameters(one, seed=0))

    first = dropped("dot")
    assert (first[1] == 0).any()
    for spec in ("concat", "location", "none"):
        jax.tree.map(np.testing.assert_array_equal, dropped(spec), first)


@pytest.mark.parametrize("spec", ["general", "location"])
def test_gradients_equal_finite_differences_in_float64(spec):
    with jax.enable_x64(True):
        one = model(Spec(spec), "luong")
        params = init_parameters(one, seed=0)
        params = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), params)

        @jax.jit
        def loss(params):
            logits, _ = one.apply(params, batch().source, batch().source_lengths).teacher_force(batch().target)
            return (jax.nn.log_softmax(logits)[:, :3] ** 2).mean()

        gradient = jax.jit(jax.grad(loss))(params)
        rng = np.random.default_rng(2)
        direction = jax.tree.map(lambda x: rng.normal(size=x.shape), params)
        move = lambda h: loss(jax.tree.map(lambda p, d: p + h * d, params, direction))  # noqa: E731
        along = sum(jax.tree.leaves(jax.tree.map(lambda g, d: (g * d).sum(), gradient, direction)))
        np.testing.assert_allclose((move(1e-4) - move(-1e-4)) / 2e-4, along, rtol=1e-4)


@pytest.mark.parametrize("spec", ["general", "none"])
def test_seeds_can_be_mapped_over(spec):
    spec, placement = Spec(spec), "no_feeding"
    params = parameters(spec, placement)
    stacked = jax.tree.map(lambda x: jnp.stack([x, 2 * x]), params)
    mapped = jax.vmap(
        lambda p: (
            model(spec, placement).apply(p, batch().source, batch().source_lengths).teacher_force(batch().target)[0]
        )
    )(stacked)
    np.testing.assert_allclose(mapped[0], result(spec, placement)["logits"], atol=2e-6)
