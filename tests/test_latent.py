"""Latent attention compared with a sum over all alignments in plain NumPy."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attn_research.attention.latent import LOG_ZERO, Latent, PriorWithStart, from_weights, latents, make_prior_input
from attn_research.models.latent import forward_algorithm, mixture
from attn_research.registry import Spec

SPECS = (
    "hard", "monotone", "hmm(band=2)", "hmm(band=1, monotone=True)",
    "monotone(leak=0.01)", "monotone(leak=1e-07)", 'hmm(band=2, start="first")', "hmm(band=1, leak=0.01)",
    'hmm(band=2, leak=1e-07, monotone=True, start="first")',
)  # fmt: skip
PRECISIONS = pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)])
LENGTHS = jnp.array([4, 1, 5, 0], jnp.int32)
B, S, T, N, Q = 4, 5, 4, 6, 3
rng = np.random.default_rng(0)
KEYS, QUERIES = rng.normal(size=(B, S, Q)).astype(np.float32), rng.normal(size=(T, B, Q)).astype(np.float32)
LOGITS = rng.normal(size=(T, B, S)).astype(np.float32)
EMISSIONS = rng.normal(size=(T, B, S, N)).astype(np.float32).astype(np.float64)
EMISSIONS -= np.log(np.exp(EMISSIONS).sum(-1, keepdims=True))
TARGET = rng.integers(0, N, (T, B))
REAL = np.arange(S)[None] < np.asarray(LENGTHS)[:, None]
WEIGHTS = np.exp(LOGITS.astype(np.float64)) * REAL
WEIGHTS /= np.maximum(WEIGHTS.sum(-1, keepdims=True), 1e-300)


def bind_latent(spec, dtype="float32"):
    """Returns the first prior, the prior, and their parameters."""
    parameters = {}

    def param(name, init, shape):
        return parameters.setdefault(name, jnp.asarray(np.random.default_rng(1).normal(size=shape), dtype))

    actual = latents.bind(Spec(spec))(param, jnp.asarray(KEYS, dtype), Q, LENGTHS)
    return *(actual if isinstance(actual, PriorWithStart) else (from_weights, actual)), parameters


@functools.cache
def float64_parameters(spec):
    """Returns the arrays of the variant's parameters by name."""
    with jax.enable_x64(True):
        return {name: np.asarray(value) for name, value in bind_latent(spec, "float64")[-1].items()}


def transition(spec, t, b):
    """Returns p(z_t = j | z_{t-1} = i) as [i j]."""
    n, name, hyper = int(LENGTHS[b]), Spec(spec).name, latents.bind(Spec(spec)).hyper
    if name == "hard":
        return np.tile(WEIGHTS[t, b, :n], (n, 1))
    if name == "monotone":
        every = np.tile(WEIGHTS[t, b, :n], (n, 1))
        masked = np.triu(every) + hyper["leak"] * np.tril(every, -1)
        return masked / masked.sum(1, keepdims=True)
    W, bias = float64_parameters(spec)["W"], float64_parameters(spec)["b"]
    # neural-transducer: softmax over the whole band + 1e-7; backward moves are multiplied by 1e-7
    soft = hyper["leak"] > 0
    offsets = list(range(0 if hyper["monotone"] and not soft else -hyper["band"], hyper["band"] + 1))
    table = np.zeros((n, n))
    for i in range(n):
        energy = np.exp(np.concatenate([QUERIES[t, b], KEYS[b, i]]).astype(np.float64) @ W + bias)
        for o, e in zip(offsets, energy / energy.sum(), strict=True):
            if 0 <= i + o < n:
                table[i, i + o] = e
    table += hyper["leak"]
    if soft and hyper["monotone"]:
        table = np.triu(table) + hyper["leak"] * np.tril(table, -1)
    return table / table.sum(1, keepdims=True)


def first(spec, b):
    """Returns p(z_1 = j)."""
    start = latents.bind(Spec(spec)).hyper.get("start")
    return transition(spec, 0, b)[0] if start == "first" else WEIGHTS[0, b, : int(LENGTHS[b])]


def enumerate_alignments(spec, b, symbols):
    """Returns p(y_1 ... y_t) for every t as a sum over all alignments."""
    totals = []
    for t in range(1, T + 1):
        total = 0.0
        for path in itertools.product(range(int(LENGTHS[b])), repeat=t):
            p = first(spec, b)[path[0]]
            for u in range(1, t):
                p *= transition(spec, u, b)[path[u - 1], path[u]]
            total += p * np.exp(sum(EMISSIONS[u, b, j, symbols[u]] for u, j in enumerate(path)))
        totals.append(total)
    return np.array(totals)


@functools.cache
def run_forward(spec, dtype="float32"):
    with jax.enable_x64(dtype == "float64"):
        prior_inputs = jax.vmap(make_prior_input)(jnp.asarray(WEIGHTS, dtype), jnp.asarray(QUERIES, dtype))
        emissions = jnp.asarray(EMISSIONS, dtype)
        log_emissions = jnp.take_along_axis(emissions, jnp.asarray(TARGET)[..., None, None], -1)[..., 0]
        first, prior, _ = bind_latent(spec, dtype)
        latent = Latent(prior, latents.bind(Spec(spec)).traits.chained, jnp.asarray(KEYS, dtype), first)
        log_priors = forward_algorithm(latent, prior_inputs, log_emissions)
        return np.asarray(log_priors), np.asarray(mixture(log_priors, emissions))


@PRECISIONS
@pytest.mark.parametrize("spec", SPECS)
def test_the_likelihood_equals_the_sum_over_all_alignments(spec, dtype, tolerance):
    actual = run_forward(spec, dtype)[1]
    assert actual.dtype == dtype
    for b in (0, 1, 2):
        log_p = np.take_along_axis(actual, TARGET[..., None], -1)[:, b, 0]
        np.testing.assert_allclose(
            np.cumsum(log_p), np.log(enumerate_alignments(spec, b, TARGET[:, b])), rtol=tolerance
        )


@pytest.mark.parametrize("spec", SPECS)
def test_priors_and_outputs_are_distributions_and_zero_on_padding(spec):
    log_priors, log_p = run_forward(spec)
    priors, real = np.exp(log_priors), np.asarray(LENGTHS) > 0
    np.testing.assert_allclose(priors.sum(-1)[:, real], 1, atol=1e-5)
    assert (priors[:, ~REAL & real[:, None]] == 0).all()
    np.testing.assert_allclose(np.exp(log_p).sum(-1)[:, real], 1, atol=1e-5)


@pytest.mark.parametrize("spec", ["monotone", "hmm(band=2, monotone=True)"])
def test_monotone_attention_never_goes_back(spec):
    at = jnp.full((B, S), LOG_ZERO).at[:, 2].set(0.0)
    log_weights = make_prior_input(jnp.asarray(WEIGHTS[0], jnp.float32), jnp.asarray(QUERIES[0])).log_weights
    prior = np.exp(bind_latent(spec)[1](log_weights, jnp.asarray(QUERIES[0]), at))
    assert (prior[[0, 2], :2] == 0).all()
    assert (prior[0, 2:4] > 0).all()


def test_monotone_attention_stays_if_no_weight_is_ahead():
    weights = jnp.array([[0.5, 0.5, 0.0, 0.0]])
    at = jnp.log(jnp.array([[1e-30, 0.25, 0.75, 1e-30]]))
    prior = bind_latent("monotone")[1](
        make_prior_input(weights, weights).log_weights, weights, jnp.where(at < -50, LOG_ZERO, at)
    )
    np.testing.assert_allclose(np.exp(prior), [[0, 0.25, 0.75, 0]], atol=1e-6)


OPTIONS = {
    "monotone": ["monotone(leak=0.01)"],
    "hmm": ["hmm(band=3)", "hmm(monotone=True)", 'hmm(start="first")', "hmm(leak=0.01)"],
    "hmm(leak=0.01)": ["hmm(leak=0.01, monotone=True)"],
}


@pytest.mark.parametrize(("spec", "other"), [(spec, other) for spec, others in OPTIONS.items() for other in others])
def test_every_option_changes_the_parameters_or_the_prior(spec, other):
    shapes = [[x.shape for x in bind_latent(one)[-1].values()] for one in (spec, other)]
    assert shapes[0] != shapes[1] or not np.allclose(run_forward(spec)[0], run_forward(other)[0], atol=1e-3)


def test_the_test_covers_every_option():
    for name in latents.functions:
        options = {option for spec in OPTIONS.get(name, []) for option in Spec(spec).hyper}
        assert options == set(latents.bind(Spec(name)).hyper), name
