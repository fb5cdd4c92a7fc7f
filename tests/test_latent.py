"""Latent attention against all alignments, one by one, in plain numpy; forcing, searching and padding."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attn_research.attention.latent import NEVER, Latent, latents, look
from attn_research.config import Config, Decode, override
from attn_research.data.vocab import BOS, EOS
from attn_research.decoding.greedy import greedy
from attn_research.models.latent import forward, mixture
from attn_research.models.seq2seq import Seq2Seq, first_parameters
from attn_research.registry import Spec
from attn_research.training.step import cross_entropy

SPECS = ("hard", "monotone", "hmm(band=2)", "hmm(band=1, monotone=True)")
LENGTHS = jnp.array([4, 1, 5, 0], jnp.int32)
B, S, T, N, Q = 4, 5, 4, 6, 3
rng = np.random.default_rng(0)
KEYS, QUERIES = rng.normal(size=(B, S, Q)).astype(np.float32), rng.normal(size=(T, B, Q)).astype(np.float32)
LOGITS = rng.normal(size=(T, B, S)).astype(np.float32)
EMISSIONS = np.asarray(jax.nn.log_softmax(jnp.asarray(rng.normal(size=(T, B, S, N)), jnp.float32)))
TARGET = rng.integers(0, N, (T, B))
REAL = np.arange(S)[None] < np.asarray(LENGTHS)[:, None]
WEIGHTS = np.asarray(jax.nn.softmax(jnp.asarray(LOGITS), where=jnp.asarray(REAL)[None]))


@functools.cache
def piece(spec):
    """The prior, and the parameters that it was given."""
    given = {}

    def param(name, init, shape):
        return given.setdefault(name, jnp.asarray(np.random.default_rng(1).normal(size=shape), jnp.float32))

    return latents.bind(Spec(spec))(param, jnp.asarray(KEYS), Q, LENGTHS), given


def transition(spec, t, b):
    """p(z_t = j | z_{t-1} = i) as [i j], in plain numpy."""
    n, name, hyper = int(LENGTHS[b]), Spec(spec).name, latents.bind(Spec(spec)).hyper
    if name == "hard":
        return np.tile(WEIGHTS[t, b, :n], (n, 1))
    if name == "monotone":
        kept = np.triu(np.tile(WEIGHTS[t, b, :n], (n, 1)))
        return kept / kept.sum(1, keepdims=True)
    W, bias = np.asarray(piece(spec)[1]["W"]), np.asarray(piece(spec)[1]["b"])
    offsets = list(range(0 if hyper["monotone"] else -hyper["band"], hyper["band"] + 1))
    table = np.zeros((n, n))
    for i in range(n):
        energy = np.exp(np.concatenate([QUERIES[t, b], KEYS[b, i]]) @ W + bias)
        for o, e in zip(offsets, energy, strict=True):
            if 0 <= i + o < n:
                table[i, i + o] = e
    return table / table.sum(1, keepdims=True)


def enumerated(spec, b, symbols):
    """p(y_1 ... y_t) for every t, summed over every alignment."""
    totals = []
    for t in range(1, T + 1):
        total = 0.0
        for path in itertools.product(range(int(LENGTHS[b])), repeat=t):
            p = WEIGHTS[0, b, path[0]]
            for u in range(1, t):
                p *= transition(spec, u, b)[path[u - 1], path[u]]
            total += p * np.exp(sum(EMISSIONS[u, b, j, symbols[u]] for u, j in enumerate(path)))
        totals.append(total)
    return np.array(totals)


@functools.cache
def forwarded(spec):
    looks = jax.vmap(look)(jnp.asarray(WEIGHTS), jnp.asarray(QUERIES))
    seen = jnp.take_along_axis(jnp.asarray(EMISSIONS), jnp.asarray(TARGET)[..., None, None], -1)[..., 0]
    latent = Latent(piece(spec)[0], latents.bind(Spec(spec)).traits.chained, jnp.asarray(KEYS))
    log_priors = forward(latent, looks, seen)
    return np.asarray(log_priors), np.asarray(mixture(log_priors, jnp.asarray(EMISSIONS)))


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("b", [0, 1, 2])
def test_the_likelihood_is_the_sum_over_all_alignments(spec, b):
    log_p = np.take_along_axis(forwarded(spec)[1], TARGET[..., None], -1)[:, b, 0]
    np.testing.assert_allclose(np.cumsum(log_p), np.log(enumerated(spec, b, TARGET[:, b])), rtol=1e-5)


@pytest.mark.parametrize("spec", SPECS)
def test_priors_and_outputs_are_distributions_and_zero_on_padding(spec):
    log_priors, log_p = forwarded(spec)
    priors, real = np.exp(log_priors), np.asarray(LENGTHS) > 0
    np.testing.assert_allclose(priors.sum(-1)[:, real], 1, atol=1e-5)
    assert (priors[:, ~REAL & real[:, None]] == 0).all()
    np.testing.assert_allclose(np.exp(log_p).sum(-1)[:, real], 1, atol=1e-5)


@pytest.mark.parametrize("spec", ["monotone", "hmm(band=2, monotone=True)"])
def test_monotone_attention_never_goes_back(spec):
    at = jnp.full((B, S), NEVER).at[:, 2].set(0.0)
    log_weights = look(jnp.asarray(WEIGHTS[0]), jnp.asarray(QUERIES[0])).log_weights
    prior = np.exp(piece(spec)[0](log_weights, jnp.asarray(QUERIES[0]), at))
    assert (prior[[0, 2], :2] == 0).all()
    assert (prior[0, 2:4] > 0).all()


def test_monotone_attention_stays_where_nothing_is_ahead():
    weights = jnp.array([[0.5, 0.5, 0.0, 0.0]])
    at = jnp.log(jnp.array([[1e-30, 0.25, 0.75, 1e-30]]))
    prior = piece("monotone")[0](look(weights, weights).log_weights, weights, jnp.where(at < -50, NEVER, at))
    np.testing.assert_allclose(np.exp(prior), [[0, 0.25, 0.75, 0]], atol=1e-6)


SIZES = {"model.embedding": 5, "model.encoder.hidden": 6, "model.decoder.hidden": 6, "model.attention.score": "general"}
NO_FEEDING = {"model.decoder.input_feeding": "none"}
CONTEXT = {"model.decoder.input_feeding": "context", "model.decoder.placement": "before"}
HEADS = {"model.attention.heads": 2, "model.attention.output": 4, "model.attention.values": 8}
MODELS = {
    "hard": ("hard", CONTEXT | HEADS),
    "monotone": ("monotone", NO_FEEDING | HEADS),
    "hmm": ("hmm(band=2)", NO_FEEDING),
}
every_model = pytest.mark.parametrize("case", MODELS)


def build(latent, **changes):
    return Seq2Seq(override(Config(), SIZES | changes | {"model.attention.latent": latent}).model, 11, 9)


def sources(padded=6, padding=0):
    drawn = np.random.default_rng(0).integers(4, 11, (4, 12))[:, :padded]
    return jnp.asarray(np.where(np.arange(padded)[None] < np.asarray(LENGTHS)[:, None], drawn, padding), jnp.int32)


def targets(size=4):
    drawn = np.random.default_rng(1).integers(4, 9, (4, 9))[:, :size]
    return jnp.asarray(np.where(np.arange(size)[None] < 4, drawn, 0), jnp.int32).at[:, 3].set(EOS)


@functools.cache
def everything(case):
    """Parameters, and a jitted (params, source, target) -> what forcing, stepping, searching and the gradient give."""
    latent, changes = MODELS[case]
    model = build(latent, **changes)

    def loss(params, source, target):
        logits, weights = model.apply(params, source, LENGTHS).force(target)
        return cross_entropy(logits, target, 0.0)[:4, :3].mean(), (logits, weights)

    def compute(params, source, target):
        translating = model.apply(params, source, LENGTHS)

        def step(state, symbols):
            state, logits, weights = translating.step(state, symbols)
            return state, (logits, weights)

        inputs = jnp.pad(target.T[:-1], ((1, 0), (0, 0)), constant_values=BOS)
        walk = jax.lax.scan(step, translating.start, inputs)[1]
        (value, forced), gradient = jax.value_and_grad(loss, has_aux=True)(params, source, target)
        outputs = greedy(translating, 6, LENGTHS, Decode(ratio=1.0, extra=3))
        return {"loss": value, "forced": forced, "gradient": gradient, "walk": walk, "greedy": outputs}

    return first_parameters(model, 0), jax.jit(compute)


@functools.cache
def result(case, padded=6, padding=0, size=4):
    params, compute = everything(case)
    return jax.device_get(compute(params, sources(padded, padding), targets(size)))


@every_model
def test_step_by_step_is_forcing(case):
    for walked, forced in zip(result(case)["walk"], result(case)["forced"], strict=True):
        np.testing.assert_allclose(walked, forced, atol=2e-6)


@every_model
def test_the_score_of_greedy_search_is_that_of_forcing_it(case):
    outputs = result(case)["greedy"]
    symbols = outputs.symbols[:4]
    params, compute = everything(case)
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
def test_what_stands_for_logits_are_log_probabilities(case):
    logits = result(case)["forced"][0][:, :3]
    np.testing.assert_allclose(jax.nn.log_softmax(jnp.asarray(logits)), logits, atol=2e-6)


def test_only_the_transitions_have_parameters_of_their_own():
    """And everything else starts from the values that it has without latent attention."""
    trees = [first_parameters(build(latent, **NO_FEEDING), 0)["params"] for latent in (None, "hard", "hmm")]
    assert set(trees[2]["decoder"]["attention"].pop("latent")) == {"W", "b"}
    for tree in trees[1:]:
        jax.tree.map(np.testing.assert_array_equal, tree, trees[0])


def test_dropout_takes_the_same_units_at_every_source_position():
    model = build("hard", **NO_FEEDING | {"model.dropout": 0.5})
    params = first_parameters(model, 0)
    seen = []

    def output(vectors):
        seen.append(vectors)
        return vectors

    rngs = {"dropout": jax.random.PRNGKey(1)}
    model.apply(params, sources(), LENGTHS, rngs=rngs)._replace(output=output).force(targets())
    dropped = np.asarray(seen[0] == 0)[:, :3]  # [t b s a]
    assert 0.2 < dropped.mean() < 0.8
    assert (dropped == dropped[:, :, :1]).all()


@pytest.mark.parametrize("changes", [{"band": 3}, {"monotone": True}])
def test_every_option_of_hmm_changes_its_parameters(changes):
    def shape(spec):
        return piece(spec)[1]["W"].shape

    text = ", ".join(f"{key}={value}" for key, value in changes.items())
    assert shape(f"hmm({text})") != shape("hmm")


REFUSED = {
    "attentional": ("hard", {}, ["'attentional'", "'hard'", "model.decoder.input_feeding=none"]),
    "context of a chain": ("hmm", {"model.decoder.input_feeding": "context"}, ["'hmm'", "placement=after"]),
    "placement of a chain": ("monotone", CONTEXT, ["'monotone'", "placement=after", "hard"]),
    "combination": ("hard", NO_FEEDING | {"model.decoder.combination": "none"}, ["'hard'", "'none'", "position"]),
    "no attention": ("hard", NO_FEEDING | {"model.attention.score": "none"}, ["model.attention.latent", "'none'"]),
    "band": ("hmm(band=0)", NO_FEEDING, ["band", "0", "at least 1"]),
    "name": ("hrd", NO_FEEDING, ["'hrd'", "did you mean hard"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_meaning_is_refused_in_one_sentence(case):
    latent, changes, words = REFUSED[case]
    with pytest.raises(ValueError) as error:
        jax.eval_shape(lambda: first_parameters(build(latent, **changes), seed=0))
    assert "\n" not in str(error.value)
    assert all(word in str(error.value) for word in words), str(error.value)
