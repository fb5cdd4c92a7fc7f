"""Beam search compared with all possible outputs, with teacher forcing, and with a plain search in Python."""

import contextlib
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_models import LENGTHS, SIZES, parameters, sources

from attn_research.attention.history import StatefulComponent, previous_weights
from attn_research.attention.scores import scores
from attn_research.config import Config, Decode, override
from attn_research.data.batching import Batch
from attn_research.data.vocab import BOS, EOS, PAD, UNK
from attn_research.decoding.beam import beam_search
from attn_research.decoding.outputs import length_limits
from attn_research.decoding.penalties import penalties
from attn_research.decoding.search import greedy_search
from attn_research.models.seq2seq import Seq2Seq
from attn_research.registry import Spec
from attn_research.training.evaluate import make_eval_step

PENALTIES = {
    "none": lambda log_p, length: log_p,
    "average": lambda log_p, length: log_p / length,
    "wu(alpha=1.5)": lambda log_p, length: log_p / ((5 + length) / 6) ** 1.5,
}
close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5)


def forgetful(param, keys, query_size):
    """Reads the last weights, their sum and the last query, which must belong to the same hypothesis."""
    W = param("W", jax.nn.initializers.normal(2.0), (query_size, keys.shape[-1]))

    def score(query, history):
        logits = jnp.einsum("bsk,bk->bs", keys, (query - history.memory) @ W)
        return logits - 2 * history.coverage + 3 * previous_weights(history, history.weights)

    return StatefulComponent(jnp.zeros((len(keys), query_size)), score, lambda step_result, history: step_result.query)


@pytest.fixture(autouse=True)
def known_model():
    scores.functions["forgetful"] = scores.register(forgetful, remembers=True)
    yield
    del scores.functions["forgetful"]


@functools.cache
def model(score: str = "general", symbols: int = 9, **changes) -> Seq2Seq:
    parts = {name: "attention" if name in ("latent", "normalizer", "heads") else "decoder" for name in changes}
    changes = {f"model.{parts[name]}.{name}": value for name, value in changes.items()}
    return Seq2Seq(override(Config(), SIZES | changes | {"model.attention.score": score}).model, 11, symbols)


def decode(beam: int, penalty: str = "none", ratio: float = 0.5, extra: int = 3) -> Decode:
    return Decode(ratio, extra, beam, Spec(penalty))


@functools.cache
def jitted_search(search, one: Seq2Seq, how: Decode):
    def run(params, source, lengths):
        return search(one.apply(params, source, lengths), source.shape[1], lengths, how)

    return jax.jit(run)


def run_search(one: Seq2Seq, how: Decode, params, source=None, lengths=LENGTHS, search=beam_search):
    source = sources() if source is None else source
    return jax.device_get(jitted_search(search, one, how)(params, jnp.asarray(source), jnp.asarray(lengths)))


@functools.cache
def jitted_forcing(one: Seq2Seq):
    """Returns a jitted (params, source, lengths, target [b t]) -> log probabilities [t b n], weights [t b s]."""

    @jax.jit
    def run(params, source, lengths, target):
        logits, weights = one.apply(params, source, lengths).teacher_force(target)
        return jax.nn.log_softmax(logits), weights

    return lambda params, *arrays: jax.device_get(run(params, *map(jnp.asarray, arrays)))


@pytest.mark.parametrize("score", ["general", "location", "none", "forgetful"])
def test_a_beam_of_one_is_greedy_search(score):
    one = model(score)
    for seed in range(4):
        params = parameters(one, seed)
        wide = run_search(one, decode(1), params).hypothesis(0)
        plain = run_search(one, decode(1), params, search=greedy_search)
        np.testing.assert_array_equal(wide.symbols, plain.symbols)
        np.testing.assert_array_equal(wide.lengths, plain.lengths)
        jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-6), wide, plain)


PLACEMENTS = {
    "general": {},
    "none": {},
    "location": {"placement": "before"},
    "forgetful": {},
    "forgetful before": {"placement": "before", "cell": "gru", "layers": 2, "input_feeding": "none"},
    "coverage_gru mocha": {"normalizer": 'mocha(score="general")', "heads": 2},
    "general hmm": {"latent": "hmm", "input_feeding": "none"},
}


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_a_hypothesis_agrees_with_teacher_forcing(placement):
    """Forcing gives its log probability and weights, so each step reads the history of its own hypothesis."""
    width, one = 4, model(placement.split()[0], **PLACEMENTS[placement])
    for seed in range(3):
        params = parameters(one, seed)
        n_best = run_search(one, decode(width, "average"), params)
        steps, _, rows = n_best.symbols.shape
        target = n_best.symbols.reshape(steps, -1).T
        log_p, weights = jitted_forcing(one)(params, np.tile(sources(), (width, 1)), np.tile(LENGTHS, width), target)
        chosen = np.take_along_axis(log_p, target.T[..., None], -1)[..., 0].reshape(steps, width, rows)
        inside = np.arange(steps)[:, None, None] < n_best.lengths[None]
        there = n_best.score > -np.inf
        assert there[:, :3].all()
        close((chosen * inside).sum(0)[there], n_best.log_probability[there])
        close(n_best.weights, weights.reshape(n_best.weights.shape) * inside[..., None])
        close((n_best.log_probability / np.maximum(n_best.lengths, 1))[there], n_best.score[there])
        assert (n_best.symbols[~inside] == PAD).all()


SMALL = 6  # vocabulary size: the special symbols and two more
WRITTEN = (EOS, UNK, 4, 5)
SHORT, LONG = 1, 3  # `extra`, added to half the source length


def each_row(one: Seq2Seq, params, how: Decode) -> list[tuple[int, dict]]:
    """Returns for each real row its limit, and the log probabilities of the next symbol after every prefix."""
    limits = length_limits(how, 6)[LENGTHS[:3]]
    beginnings = np.array(list(itertools.product((UNK, 4, 5), repeat=limits.max())), np.int32)
    n = len(beginnings)
    arrays = np.repeat(sources()[:3], n, axis=0), np.repeat(LENGTHS[:3], n), np.tile(beginnings, (3, 1))
    log_p = jitted_forcing(one)(params, *arrays)[0].reshape(-1, 3, n, SMALL)
    places = [(tuple(b[:t].tolist()), t, i) for i, b in enumerate(beginnings) for t in range(len(b))]
    return [(limit, {before: log_p[t, row, i] for before, t, i in places}) for row, limit in enumerate(limits)]


def plain_beam(log_p: dict, limit: int, width: int, score) -> list[tuple]:
    """Searches to the limit without early stopping; returns (score, output) pairs, the best first."""
    alive, finished = [((), 0.0)], []
    for length in range(1, limit + 1):
        every = [((*b, s), total + log_p[b][s]) for b, total in alive for s in WRITTEN]
        every.sort(key=lambda pair: -pair[1])
        newly_finished = [output[-1] == EOS or length == limit for output, _ in every]
        best = zip(every[:width], newly_finished[:width], strict=True)
        finished += [(score(total, length), output) for (output, total), ends in best if ends]
        alive = [pair for pair, ends in zip(every, newly_finished, strict=True) if not ends][:width]
    return sorted(finished, reverse=True)[:width]


def every_output(log_p: dict, limit: int, score) -> list[tuple]:
    """Returns (score, output) pairs of all possible outputs, the best first."""
    every = []
    for length in range(1, limit + 1):
        for output in itertools.product(WRITTEN, repeat=length):
            if EOS not in output[:-1] and (output[-1] == EOS or length == limit):
                total = sum(log_p[output[:t]][output[t]] for t in range(length))
                every.append((score(total, length), output))
    return sorted(every, reverse=True)


def check(n_best, row: int, expected: list[tuple]) -> None:
    """Checks that a row has exactly these outputs in this order."""
    close(n_best.score[: len(expected), row], [score for score, _ in expected])
    assert (n_best.score[len(expected) :, row] == -np.inf).all()
    assert (n_best.lengths[len(expected) :, row] == 0).all()
    for k, (_, output) in enumerate(expected[:3]):
        assert tuple(n_best.symbols[: n_best.lengths[k, row], k, row]) == output


@pytest.mark.parametrize("penalty", PENALTIES)
def test_a_beam_wider_than_the_output_space_ranks_all_outputs(penalty):
    one, how = model(symbols=SMALL), decode(130, penalty, extra=SHORT)
    for seed in range(3):
        params = parameters(one, seed)
        n_best = run_search(one, how, params)
        for row, (limit, log_p) in enumerate(each_row(one, params, how)):
            check(n_best, row, every_output(log_p, limit, PENALTIES[penalty]))


@pytest.mark.parametrize(("width", "penalty"), [(2, "average"), (3, "none"), (5, "wu(alpha=1.5)")])
def test_early_stopping_of_the_search_loses_nothing(width, penalty):
    one, how = model(symbols=SMALL), decode(width, penalty, extra=LONG)
    for seed in range(10):  # seed 8: an average falls at the next length and rises until the limit
        params = parameters(one, seed)
        n_best = run_search(one, how, params)
        for row, (limit, log_p) in enumerate(each_row(one, params, how)):
            check(n_best, row, plain_beam(log_p, limit, width, PENALTIES[penalty]))


@pytest.mark.parametrize(("beam", "search"), [(1, greedy_search), (1, beam_search), (30, beam_search)])
def test_outputs_are_distinct_and_contain_no_padding(beam, search):
    one, how = model(symbols=SMALL), decode(beam, extra=LONG)
    for seed in range(5):
        outputs = run_search(one, how, parameters(one, seed), search=search)
        outputs = outputs.as_n_best() if search is greedy_search else outputs
        for row in range(3):
            lists = [
                tuple(outputs.symbols[:length, k, row])
                for k, length in enumerate(outputs.lengths[:, row])
                if outputs.score[k, row] > -np.inf
            ]
            assert not {PAD, BOS} & set(itertools.chain(*lists))
            assert len(set(lists)) == len(lists) == beam


def test_padding_and_other_rows_of_the_batch_change_nothing():
    one, how, order = model("forgetful"), decode(3, "average"), np.array([2, 0, 3, 1])
    for seed in range(3):
        params = parameters(one, seed)
        same = run_search(one, how, params)
        steps = len(same.symbols)
        longer = run_search(one, how, params, sources(padded=9, padding=7))
        assert (longer.symbols[steps:] == PAD).all()
        moved = run_search(one, how, params, sources(padding=5)[order], LENGTHS[order])
        alone = run_search(one, how, params, sources()[[1] * 4], LENGTHS[[1] * 4])
        np.testing.assert_array_equal(longer.symbols[:steps], same.symbols)
        np.testing.assert_array_equal(moved.symbols, same.symbols[..., order])
        np.testing.assert_array_equal(alone.symbols, same.symbols[..., [1] * 4])
        close(longer.weights[:steps, ..., :6], same.weights)
        close(longer.score, same.score)
        close(moved.score, same.score[..., order])
        close(alone.score, same.score[..., [1] * 4])


def test_a_row_of_padding_alone_gives_the_empty_output():
    one = model()
    for how, search in ((decode(1), greedy_search), (decode(3, "wu"), beam_search)):
        outputs = run_search(one, how, parameters(one, 0), search=search)
        first = outputs if search is greedy_search else outputs.hypothesis(0)
        assert (first.lengths[3], first.log_probability[3], first.score[3]) == (0, 0, 0)
        assert (first.symbols[:, 3] == PAD).all()
        assert (first.weights[:, 3] == 0).all()


def test_a_length_limit_of_zero_gives_empty_outputs():
    for beam, search in ((1, greedy_search), (3, beam_search)):
        outputs = run_search(model(), decode(beam, ratio=0.1, extra=0), parameters(model(), 0), search=search)
        first = outputs if search is greedy_search else outputs.hypothesis(0)
        assert (first.symbols == PAD).all()
        assert not any(field.any() for field in first[1:])


def test_length_limits_are_exact_and_zero_for_empty_sources():
    np.testing.assert_array_equal(length_limits(Decode(ratio=0.5, extra=2), 4), [0, 2, 3, 3, 4])


def test_length_penalties_equal_their_equations():
    log_p, length = np.array([-3.0, -1.0], np.float32), np.array([4, 7], np.int32)
    for spec, equation in PENALTIES.items():
        close(penalties.bind(Spec(spec))(jnp.asarray(log_p), jnp.asarray(length)), equation(log_p, length))


@pytest.mark.parametrize(
    ("beam", "penalty", "message"),
    [
        (1, "wu", "decode.length_penalty 'wu' has no effect with decode.beam 1"),
        (2, "avrage", "unknown length penalty 'avrage'; known: average, none, wu; did you mean average?"),
        (2, "wu(alfa=1.0)", "has no hyperparameter 'alfa'; known: alpha"),
    ],
)
def test_an_invalid_penalty_is_rejected_before_tracing(beam, penalty, message):
    with pytest.raises(ValueError) as error:
        make_eval_step(model(), decode(beam, penalty))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("equation", "message"),
    [
        ("log_probability - abs(length - 10)", "both rises and falls with the length"),
        ("-log_probability * length", "falls as the log probability grows"),
        ("log_probability + 0.5 * length", None),
        ("length * float('nan')", "falls as the log probability grows"),
    ],
)
def test_a_users_penalty_with_which_a_search_would_stop_too_early_is_rejected(equation, message, tmp_path):
    file = tmp_path / "my_penalties.py"
    file.write_text(f"def mine(log_probability, length):\n    return {equation}\n")
    expected = pytest.raises(ValueError, match=message) if message else contextlib.nullcontext()
    with expected:
        make_eval_step(model(), decode(2, f"{file}:mine"))


def test_an_evaluation_uses_the_best_hypothesis():
    one, how = model(), decode(3, "average")
    params, target = parameters(one, 1), np.full((4, 3), EOS, np.int32)
    batch = Batch(*map(jnp.asarray, (sources(), LENGTHS, target, np.minimum(LENGTHS, 3), np.arange(4))))
    output = jax.device_get(make_eval_step(one, how)(params, batch).outputs)
    jax.tree.map(close, output, run_search(one, how, params).hypothesis(0))
    plain = jax.device_get(make_eval_step(one, decode(1))(params, batch).outputs)
    jax.tree.map(np.testing.assert_array_equal, plain, run_search(one, decode(1), params, search=greedy_search))
