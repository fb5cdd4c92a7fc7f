"""Samples: their distribution, their support, and their independence of the batch."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from small_models import LENGTHS, parameters, sources, write_untrained_run
from test_beam import SMALL, WRITTEN, decode, each_row, model, run_search

from attn_research.cli import main
from attn_research.config import Decode
from attn_research.data.vocab import EOS
from attn_research.decoding.sampling import sample
from attn_research.decoding.search import greedy_search, make_search
from attn_research.registry import Spec
from attn_research.training.evaluate import make_eval_step
from attn_research.translator import load

VARIANTS = {"general": {}, "none": {}, "coverage_gru": {"placement": "before"}}


def draw(one, how: Decode, spec: str, params, samples: int = 1, rows=slice(None)):
    search = make_search(Decode(how.ratio, how.extra, sampling=Spec(spec)), samples)

    @jax.jit
    def run(params, source, lengths, items):
        return search(one.apply(params, source, lengths), source.shape[1], lengths, items)

    arrays = sources()[rows], LENGTHS[rows], np.arange(len(LENGTHS), dtype=np.int32)[rows]
    return jax.device_get(run(params, *map(jnp.asarray, arrays)))


def written_probability(log_p: dict, output: tuple) -> float:
    """Returns the probability of drawing an output: PAD and BOS have none, the rest is scaled to 1."""
    conditionals = [log_p[output[:t]] for t in range(len(output))]
    return np.prod([np.exp(row[s]) / np.exp(row[list(WRITTEN)]).sum() for row, s in zip(conditionals, output)])  # noqa: B905


def test_frequencies_of_samples_fit_the_distribution_of_the_model():
    one, how, samples = model(symbols=SMALL), decode(1, ratio=0.0, extra=2), 3000
    params = jax.tree.map(lambda leaf: 0.5 * leaf, parameters(one, 3))
    outputs = draw(one, how, "sample(seed=1)", params, samples)
    for row, (limit, log_p) in enumerate(each_row(one, params, how)):
        every = [o for n in (1, 2) for o in itertools.product(WRITTEN, repeat=n)]
        every = [o for o in every if EOS not in o[:-1] and (o[-1] == EOS or len(o) == limit)]
        expected = samples * np.array([written_probability(log_p, output) for output in every])
        assert expected.sum() == pytest.approx(samples, rel=1e-4)
        drawn = [tuple(outputs.symbols[: outputs.lengths[k, row], k, row].tolist()) for k in range(samples)]
        counts = np.array([drawn.count(output) for output in every])
        assert counts.sum() == samples
        rare = expected < 5
        merge = lambda x: np.append(x[~rare], x[rare].sum() + 1e-9).astype(float)  # noqa: B023, E731
        observed, fitted = merge(counts), merge(expected.astype(float))
        assert stats.chisquare(observed, fitted * observed.sum() / fitted.sum()).pvalue > 0.01


@pytest.mark.parametrize(
    ("options", "support"),
    [
        ({"top_k": 1}, {2}),
        ({"top_k": 3}, {2, 0, 4}),
        ({"top_p": 0.4}, {2}),
        ({"top_p": 0.41}, {2, 0}),
        ({"top_p": 0.75}, {2, 0, 4}),
        ({"top_k": 2, "top_p": 0.7}, {2, 0}),
        ({"top_k": 2, "top_p": 0.5}, {2}),
        ({"top_k": 99}, {0, 1, 2, 4}),
    ],
)
def test_top_k_and_top_p_draw_from_the_likeliest_symbols_alone(options, support):
    logits = jnp.log(jnp.array([[0.3, 0.1, 0.4, 0.0, 0.2]]))
    items = jnp.arange(400)
    drawn = sample(jnp.tile(logits, (400, 1)), items, jnp.int32(0), jnp.int32(0), **options)
    assert set(drawn.tolist()) == support


def test_every_number_changes_a_draw():
    logits, items = jnp.zeros((64, 50)), jnp.arange(64)
    zero, one = jnp.int32(0), jnp.int32(1)
    base = sample(logits, items, zero, zero)
    others = (
        sample(logits, items, one, zero),
        sample(logits, items, zero, one),
        sample(logits, items, zero, zero, seed=1),
    )
    for other in others:
        assert (base != other).mean() > 0.8
    np.testing.assert_array_equal(sample(logits[:3], items[:3], zero, zero), base[:3])


@pytest.mark.parametrize("score", VARIANTS)
def test_a_temperature_near_zero_is_greedy_search(score):
    one, how = model(score, **VARIANTS[score]), decode(1)
    params = parameters(one, 1)
    greedy = run_search(one, how, params, search=greedy_search)
    cold = draw(one, how, "sample(temperature=1e-4)", params)
    for actual, expected in zip(cold.hypothesis(0), greedy, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


def test_a_sample_does_not_depend_on_its_batch_or_on_further_samples(tmp_path):
    directory = write_untrained_run(tmp_path / "run")
    translator = load(directory, {"decode.sampling": "sample(temperature=2.0)", "decode.extra": 2})
    lines = ["a b c", "d e", "e", "c a b d e c a b d e a", "a b c"]
    together = translator.n_best(lines, samples=4)
    assert [len(samples) for samples in together] == [4] * 5
    assert len({tuple(one.output) for one in together[0]}) > 1
    assert [one.output for one in together[0]] != [one.output for one in together[4]], "items differ"
    for item, line in enumerate(lines):
        (alone,) = translator.n_best([line], samples=2, items=[item])
        assert [one.output for one in alone] == [one.output for one in together[item][:2]]
        for one, same in zip(alone, together[item], strict=False):
            assert one.log_probability == pytest.approx(same.log_probability, abs=1e-4)
    sampled = [one for one in together[0] if len(one.weights) > len(one.output)]
    forced = load(directory).score([lines[0]] * len(sampled), [one.output for one in sampled])
    close = functools.partial(pytest.approx, abs=1e-5)
    assert [one.score for one in sampled] == close([one.score for one in forced])


def test_a_users_function_is_a_sampling(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "def second(logits, items, number, t, rank: int = 1):\n    return logits.argsort(-1)[:, -1 - rank]\n"
    )
    one, how = model(), decode(1)
    params = parameters(one, 0)
    first = draw(one, how, f"{file}:second(rank=0)", params)
    np.testing.assert_array_equal(first.symbols[:, 0], run_search(one, how, params, search=greedy_search).symbols)
    assert (draw(one, how, f"{file}:second", params).symbols != first.symbols).any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"beam": 2}, "decode.sampling 'sample' draws samples, which decode.beam 2 does not rank"),
        ({"sampling": Spec("sampel")}, "unknown sampling 'sampel'; known: sample; did you mean sample"),
        ({"sampling": Spec("sample(topk=3)")}, "has no hyperparameter 'topk'; .* did you mean top_k"),
        ({"sampling": Spec("sample(top_p=1.0)")}, "top_p of sampling 'sample' is 1.0, but must be above 0 and below 1"),
    ],
)
def test_an_invalid_sampling_is_one_sentence(changes, message):
    with pytest.raises(ValueError, match=message):
        make_eval_step(model(), Decode(**{"sampling": Spec("sample"), **changes}))


def test_the_number_of_samples_is_checked(run):
    with pytest.raises(ValueError, match=r"samples is 2, but decode\.sampling is None"):
        load(run).n_best(["a"], samples=2)
    translator = load(run, {"decode.sampling": "sample"})
    with pytest.raises(ValueError, match="samples is 0, but must be at least 1"):
        translator.n_best(["a"], samples=0)
    with pytest.raises(ValueError, match=r"samples is 10000000, but at most \d+ fit into memory for 1 source symbols"):
        translator.n_best(["a"], samples=10_000_000)


def test_the_command_draws_samples_by_line_number(run, capsys, tmp_path):
    (tmp_path / "a.txt").write_text("a b c\nd e\n")
    (tmp_path / "b.txt").write_text("\nd e\n")
    words = ["translate", str(run), "--sampling", "sample(temperature=3.0)", "--samples", "3", "--input"]
    assert main([*words, str(tmp_path / "a.txt")]) == 0
    first = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[0] for line in first] == ["1"] * 3 + ["2"] * 3
    assert main([*words, str(tmp_path / "b.txt")]) == 1
    assert capsys.readouterr().out.splitlines() == ["1\t\t", *first[3:]]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--samples 2", "--samples prints samples, so it needs --sampling"),
        ("--sampling sample --nbest", "--nbest lists the hypotheses of a beam, and sampling has none; use --samples N"),
        ("--sampling sample --beam 3", "draws samples, which decode.beam 3 does not rank"),
    ],
)
def test_invalid_options_of_sampling_are_one_sentence(run, words, message, capsys):
    assert main(["translate", str(run), "--input", str(run / "lines.txt"), *words.split()]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1 and message in captured.err
