"""Output normalizers: losses against plain references and finite differences, and searches with impossible symbols."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import LENGTHS, SIZES, TINY, batch, parameters, sources, write_untrained_run
from test_entmax import brute

from attn_research.cli import main
from attn_research.config import Config, Decode, digest, override
from attn_research.data.vocab import BOS, EOS, PAD
from attn_research.decoding.ensemble import EnsembleSession
from attn_research.decoding.search import make_search
from attn_research.errors import UserError
from attn_research.models.output_normalizers import OutputNormalizer, cross_entropy, output_normalizers
from attn_research.models.seq2seq import Seq2Seq, init_parameters
from attn_research.registry import Spec
from attn_research.runs import records
from attn_research.training.check import check
from attn_research.training.evaluate import make_eval_step
from attn_research.training.loop import run
from attn_research.training.step import init_state, make_train_step
from attn_research.translator import load

FIELD = "model.output.normalizer"
ALPHAS = {"sparsemax": 2.0, "entmax": 1.5, "entmax(alpha=1.3)": 1.3, "entmax(alpha=2.0)": 2.0}
SPARSE = tuple(ALPHAS)
in_models = pytest.mark.parametrize("spec", ["sparsemax", "entmax(alpha=1.3)"])  # by sorting and by bisection
every = pytest.mark.parametrize("spec", ["softmax", *SPARSE])
every_sparse = pytest.mark.parametrize("spec", SPARSE)
smoothings = pytest.mark.parametrize("smoothing", [0.0, 0.2])
rng = np.random.default_rng(0)
N = 7
Z = rng.normal(size=(3, 2, N)) * np.array([[[0.3]], [[1.0]], [[4.0]]])  # [t b n]
TARGET = np.array([[3, 4, 5], [6, 2, 3]])  # [b t]


def normalizer(spec: str) -> OutputNormalizer:
    return output_normalizers.bind(Spec(spec))()


def probabilities(spec: str, z) -> np.ndarray:
    return np.asarray(jax.nn.softmax(normalizer(spec).logits(jnp.asarray(z))))


def loss(spec: str, z, target=TARGET, smoothing: float = 0.0):
    return normalizer(spec).loss(jnp.asarray(z), jnp.asarray(target), smoothing)


def smoothed(smoothing: float) -> np.ndarray:
    """Returns the target distribution y [t b n]."""
    return (1 - smoothing) * np.eye(N)[TARGET.T] + smoothing / N


def entropy(p: np.ndarray, alpha: float) -> np.ndarray:
    return (p - p**alpha).sum(-1) / (alpha * (alpha - 1))


def test_every_built_in_one_is_tested():
    assert {spec.partition("(")[0] for spec in ("softmax", *SPARSE)} == set(output_normalizers.functions)
    assert all(normalizer(spec).sparse for spec in SPARSE) and not normalizer("softmax").sparse


@pytest.mark.parametrize(
    ("spec", "expected"),
    [("softmax", [0.0486, 0.3592, 0.5922]), ("sparsemax", [0, 0.25, 0.75]), ("entmax", [0, 0.3260, 0.6740])],
)
def test_probabilities_equal_known_ones(spec, expected):
    p = probabilities(spec, np.array([-2, 0, 0.5], np.float32))
    np.testing.assert_allclose(p, expected, atol=1e-4)
    assert ((p == 0) == (np.array(expected) == 0)).all()


@every_sparse
def test_probabilities_and_loss_equal_those_of_numpy(spec):
    """NumPy finds the threshold by bisection."""
    alpha = ALPHAS[spec]
    p = np.apply_along_axis(brute, -1, Z, alpha)
    z_y = np.take_along_axis(Z, TARGET.T[..., None], -1)[..., 0]
    with jax.enable_x64(True):
        np.testing.assert_allclose(probabilities(spec, Z), p, atol=1e-12)
        np.testing.assert_allclose(loss(spec, Z), (p * Z).sum(-1) + entropy(p, alpha) - z_y, atol=1e-12)


@every_sparse
def test_no_other_distribution_has_a_larger_sum_of_mean_score_and_entropy(spec):
    """So p is the maximum that defines the loss."""
    others = rng.dirichlet(np.full(N, 0.3), size=(200, 3, 2))
    z_y = np.take_along_axis(Z, TARGET.T[..., None], -1)[..., 0]
    with jax.enable_x64(True):
        largest = ((others * Z).sum(-1) + entropy(others, ALPHAS[spec]) - z_y).max(0)
        assert (largest <= loss(spec, Z) + 1e-12).all()


@every
@smoothings
def test_the_gradient_of_the_loss_is_p_minus_y(spec, smoothing):
    with jax.enable_x64(True):
        gradient = jax.grad(lambda z: loss(spec, z, smoothing=smoothing).sum())(Z)
        np.testing.assert_allclose(gradient, probabilities(spec, Z) - smoothed(smoothing), atol=1e-9)


@every
@smoothings
def test_the_gradient_of_the_loss_equals_finite_differences(spec, smoothing):
    with jax.enable_x64(True):
        direction = rng.normal(size=Z.shape)
        gradient = jax.grad(lambda z: loss(spec, z, smoothing=smoothing).sum())(Z)
        ahead, behind = (loss(spec, Z + step * direction, smoothing=smoothing).sum() for step in (1e-6, -1e-6))
        np.testing.assert_allclose((gradient * direction).sum(), (ahead - behind) / 2e-6, rtol=1e-6)


def test_the_sparsemax_loss_equals_its_closed_form():
    """Martins & Astudillo 2016, eq. 16: -z_y + 1/2 sum over the support of (z_j^2 - tau^2) + 1/2."""
    with jax.enable_x64(True):
        support = probabilities("sparsemax", Z) > 0
        tau = ((Z * support).sum(-1) - 1) / support.sum(-1)
        z_y = (Z * smoothed(0)).sum(-1)
        expected = -z_y + 0.5 * ((Z**2 - tau[..., None] ** 2) * support).sum(-1) + 0.5
        np.testing.assert_allclose(loss("sparsemax", Z), expected, atol=1e-9)
        np.testing.assert_allclose(loss("entmax(alpha=2.0)", Z), expected, atol=1e-9)


@smoothings
def test_near_alpha_1_entmax_is_the_softmax_with_cross_entropy(smoothing):
    z = Z.astype(np.float32)
    np.testing.assert_allclose(probabilities("entmax(alpha=1.01)", z), probabilities("softmax", z), atol=0.02)
    actual, expected = (loss(spec, z, smoothing=smoothing) for spec in ("entmax(alpha=1.01)", "softmax"))
    np.testing.assert_allclose(actual, expected, rtol=0.05, atol=0.02)


@every_sparse
def test_the_loss_is_zero_exactly_where_the_right_symbol_has_probability_1(spec):
    z = np.zeros((1, 48, N), np.float32)
    z[0, :, 4] = np.linspace(0.1, 12, 48)
    value, p = np.asarray(loss(spec, z, np.full((48, 1), 4)))[0], probabilities(spec, z)[0, :, 4]
    one = z[0, :, 4] >= 1 / (ALPHAS[spec] - 1)  # then tau is at least 0
    assert (p[one] == 1).all() and (value[one] == 0).all()
    assert (p[~one] < 1).all() and (value[~one] > 0).all() and one.any() and not one.all()


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(["softmax", *SPARSE]), st.floats(-100, 100), st.integers(0, 99))
def test_a_constant_added_to_all_scores_changes_nothing(spec, constant, seed):
    z = np.random.default_rng(seed).normal(size=Z.shape).astype(np.float32)
    moved = z + np.float32(constant)
    np.testing.assert_allclose(loss(spec, moved), loss(spec, z), atol=2e-4)
    np.testing.assert_allclose(probabilities(spec, moved), probabilities(spec, z), atol=2e-4)


@every_sparse
def test_scores_in_half_precision_give_a_loss_in_float32(spec):
    value = loss(spec, Z.astype(jnp.bfloat16))
    assert value.dtype == jnp.float32 == normalizer(spec).logits(jnp.asarray(Z, jnp.bfloat16)).dtype
    np.testing.assert_allclose(value, loss(spec, Z.astype(jnp.bfloat16).astype(np.float32)), atol=1e-6)


@functools.cache
def model(spec: str) -> Seq2Seq:
    return Seq2Seq(override(Config(), SIZES | {FIELD: spec}).model, 11, 9)


def scaled(one: Seq2Seq, scale: float):
    """Returns random parameters, those of the output layer times `scale`."""
    params = parameters(one, 1)
    params["params"]["output"] = jax.tree.map(lambda leaf: scale * leaf, params["params"]["output"])
    return params


@functools.cache
def jitted_forcing(one: Seq2Seq):
    @jax.jit
    def force(params, target):
        logits, _ = one.apply(params, jnp.asarray(sources()), jnp.asarray(LENGTHS)).teacher_force(target)
        return jnp.take_along_axis(jax.nn.log_softmax(logits), target.T[..., None], -1)[..., 0]

    return lambda params, target: np.asarray(force(params, jnp.asarray(target)))


@functools.cache
def jitted_search(one: Seq2Seq, decode: Decode, samples: int = 1):
    @jax.jit
    def search(params, source, lengths):
        session = one.apply(params, source, lengths)
        return make_search(decode, samples)(session, source.shape[1], lengths, jnp.arange(len(lengths)))

    return lambda params: jax.device_get(search(params, jnp.asarray(sources()), jnp.asarray(LENGTHS)))


def decoding(**changes) -> Decode:
    return override(Decode(ratio=1.0, extra=3), changes)


SEARCHES = {
    "greedy": decoding(),
    "beam": decoding(beam=5, length_penalty="average"),
    "limits": decoding(beam=3, no_repeat_ngram_size=1, min_length=2),
    "sampling": decoding(sampling="sample(temperature=3.0)"),
    "top": decoding(sampling="sample(top_k=8, top_p=0.99)"),
}


@in_models
@pytest.mark.parametrize("search", SEARCHES)
def test_a_search_writes_possible_outputs_with_their_probability_under_teacher_forcing(spec, search):
    one = model(spec)
    for scale in (0.1, 1.0, 30.0):
        params = scaled(one, scale)
        outputs = jitted_search(one, SEARCHES[search], samples=4 if "sampling" in search else 1)(params)
        assert not np.isnan(outputs.log_probability).any() and not np.isnan(outputs.score).any()
        if scale == 0.1:
            assert np.isfinite(outputs.log_probability[0]).all()
        for k in range(outputs.symbols.shape[1]):
            log_p = jitted_forcing(one)(params, outputs.symbols[:, k].T)
            for row, length in enumerate(outputs.lengths[k]):
                symbols = outputs.symbols[:length, k, row]
                assert not np.isin(symbols, [PAD, BOS]).any() and EOS not in symbols[:-1]
                if length:
                    actual = outputs.log_probability[k, row]
                    np.testing.assert_allclose(actual, log_p[:length, row].sum(), rtol=1e-3, atol=1e-3)


def only(one: Seq2Seq, *symbols: int):
    """Returns parameters with which these symbols have equal probabilities at every step, and no other is possible."""
    params = scaled(one, 0.0)
    params["params"]["output"]["b"] = jnp.zeros(9).at[jnp.array(symbols)].set(100.0)
    return params


@in_models
def test_a_beam_has_as_many_hypotheses_as_are_possible(spec):
    outputs = jitted_search(model(spec), SEARCHES["beam"])(only(model(spec), EOS))
    np.testing.assert_array_equal(outputs.log_probability[0], 0)
    np.testing.assert_array_equal(outputs.lengths[0], np.minimum(LENGTHS, 1))
    assert (outputs.score[1:] == -math.inf).all() and (outputs.lengths[1:] == 0).all()
    assert (outputs.symbols[:, 1:] == PAD).all()


@in_models
@pytest.mark.parametrize("symbols", [(PAD, BOS), (4,)])
def test_without_a_possible_symbol_an_output_ends_with_probability_0(spec, symbols):
    """PAD and BOS are never written, and no symbol twice here, so EOS would be next, which is impossible."""
    one, limits = model(spec), {"no_repeat_ngram_size": 1}
    params, written = only(one, *symbols), [symbol for symbol in symbols if symbol not in (PAD, BOS)]
    for search in (decoding(**limits), decoding(sampling="sample(top_p=0.5)", **limits)):
        outputs = jitted_search(one, search)(params).hypothesis(0)
        for row in np.flatnonzero(LENGTHS):
            assert outputs.symbols[: outputs.lengths[row], row].tolist() == [*written, EOS]
            assert outputs.log_probability[row] == outputs.score[row] == -math.inf
    beam = jitted_search(one, decoding(beam=3, **limits))(params)
    assert (beam.lengths[:, LENGTHS > 0] == 0).all() and (beam.symbols == PAD).all()
    assert (beam.score[:, LENGTHS > 0] == -math.inf).all()
    assert (beam.log_probability[:, LENGTHS > 0] == -math.inf).all()


@in_models
def test_an_ensemble_averages_probabilities_of_different_output_normalizers(spec):
    members = [(model("softmax"), scaled(model("softmax"), 1.0)), (model(spec), scaled(model(spec), 3.0))]
    target = jnp.asarray(batch().target)

    @jax.jit
    def force(*params):
        data = (jnp.asarray(sources()), jnp.asarray(LENGTHS))
        sessions = [one.apply(p, *data) for (one, _), p in zip(members, params, strict=True)]
        return [
            jax.nn.softmax(session.teacher_force(target)[0])
            for session in (*sessions, EnsembleSession(tuple(sessions)))
        ]

    first, second, together = map(np.asarray, force(*(params for _, params in members)))
    assert (second == 0).any()
    np.testing.assert_allclose(together, (first + second) / 2, atol=1e-6)


@in_models
def test_training_lowers_the_loss_and_evaluation_counts_impossible_symbols(spec):
    config = override(TINY, {FIELD: spec, "train.label_smoothing": 0.1})
    one, rows = model(spec), batch()
    step, state = make_train_step(one, config.train), init_state(init_parameters(one, 0), config.train, 0)
    losses = []
    for _ in range(30):
        state, metrics = step(state, rows)
        losses.append(float(metrics["loss"]))
    assert np.isfinite(losses).all() and losses[-1] < losses[0]
    for params in (state.params, scaled(one, 3.0)):
        output = jax.device_get(make_eval_step(one, config.decode)(params, rows))
        log_p = jitted_forcing(one)(params, rows.target)[:, :3]
        np.testing.assert_allclose(output.nll[:3], -log_p.sum(0), rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(output.impossible[:3], np.isneginf(log_p).sum(0))
        assert np.isfinite(output.loss).all()
        assert output.loss[3] == output.nll[3] == output.impossible[3] == 0  # the empty target
    assert output.impossible.any()


def test_with_the_softmax_the_loss_of_an_evaluation_is_minus_log_p():
    one, rows = model("softmax"), batch()
    output = jax.device_get(make_eval_step(one, Decode())(parameters(one, 0), rows))
    np.testing.assert_allclose(output.loss, output.nll, rtol=1e-5)
    assert output.impossible is None and normalizer("softmax").loss is cross_entropy


@pytest.mark.slow
def test_a_run_records_impossible_symbols_and_an_infinite_perplexity_as_missing(tmp_path):
    record = run(override(TINY, {FIELD: "sparsemax", "train.learning_rate": 1.0}), tmp_path)
    metrics = record["splits"]["test"]["metrics"]
    assert metrics["impossible"] > 0 and math.isfinite(metrics["loss"])
    assert not math.isfinite(metrics["perplexity"])
    assert records.read(tmp_path)["splits"]["test"]["metrics"]["perplexity"] is None
    assert set(record["splits"]["test"]["items"]["impossible"]) == {"n", "d"}
    assert load(tmp_path, {"decode.beam": 3}).n_best(["a b"])


@pytest.fixture(scope="module")
def sharp(tmp_path_factory):
    """A run whose probabilities are nearly all 0 or 1, and whose outputs are empty."""
    return write_untrained_run(tmp_path_factory.mktemp("runs") / "sharp", output="sparsemax", scale=1e3)


@pytest.fixture(scope="module")
def repeating(tmp_path_factory):
    """A run whose probabilities are nearly all 0 or 1, and whose outputs repeat symbols."""
    return write_untrained_run(tmp_path_factory.mktemp("runs") / "repeating", output="sparsemax", scale=1e3, seed=1)


def test_forced_decoding_gives_an_impossible_target_minus_infinity(sharp, tmp_path, capsys):
    impossible = ["e e e e e e"]
    assert load(sharp).score(["a b c"], [""])[0].log_probability == 0
    for changes in ({}, {"decode.beam": 2, "decode.length_penalty": "average", "decode.coverage_penalty": 0.2}):
        (other,) = load(sharp, changes).score(["a b c"], impossible)
        assert other.log_probability == other.score == -math.inf and np.isfinite(other.weights).all()
    (tmp_path / "sources.txt").write_text("a b c\n")
    (tmp_path / "targets.txt").write_text(impossible[0] + "\n")
    words = ["--input", str(tmp_path / "sources.txt"), "--force", str(tmp_path / "targets.txt")]
    assert main(["translate", str(sharp), *words]) == 0
    assert capsys.readouterr().out == "-inf\n"


@pytest.mark.parametrize("beam", [1, 3])
def test_a_line_without_a_possible_output_is_reported(repeating, tmp_path, beam, capsys):
    lines = ["a b c", "d", "e e a", "c c c c c c c c"]
    (tmp_path / "lines.txt").write_text("\n".join(lines))
    translations = load(repeating, {"decode.beam": beam, "decode.no_repeat_ngram_size": 1}).translate(lines)
    impossible = [i for i, one in enumerate(translations, 1) if one.log_probability == -math.inf]
    words = ["--input", str(tmp_path / "lines.txt"), "--beam", str(beam), "--no-repeat-ngram-size", "1"]
    assert impossible and main(["translate", str(repeating), *words]) == 1
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [" ".join(one.output) for one in translations]
    reported = [line for line in captured.err.splitlines() if "has no output that" in line]
    assert [int(line.split("lines.txt:")[1].split()[0]) for line in reported] == impossible


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"decode.beam": 4}, {"decode.sampling": "sample"}], ids=str)
def test_every_source_has_a_translation(repeating, changes):
    lines = ["a b c", "d", "e e a"]
    for limits in ({}, {"decode.no_repeat_ngram_size": 1}):
        assert all(load(repeating, changes | limits).n_best(lines))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({FIELD: "sparsmax"}, "unknown output normalizer 'sparsmax'; known: entmax, softmax, sparsemax; did you mean"),
        ({FIELD: "entmax(alpha=1.0)"}, "alpha of output normalizer 'entmax' is 1.0, but must be at least 1.01"),
        ({FIELD: "entmax(learned=True)"}, "output normalizer 'entmax' has no hyperparameter 'learned'"),
        (
            {FIELD: "sparsemax", "model.attention.latent": "hard", "model.decoder.input_feeding": "none"},
            "model.output.normalizer 'sparsemax' does not fit model.attention.latent 'hard', which mixes softmax",
        ),
    ],
)
def test_errors_are_one_sentence(changes, message):
    with pytest.raises(UserError) as error:
        check(override(TINY, SIZES | changes), files=False)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_the_field_changes_no_digest_at_its_default():
    assert digest(override(Config(), {FIELD: "softmax"})) == digest(Config())
    assert digest(override(Config(), {FIELD: "entmax"})) != digest(Config())
