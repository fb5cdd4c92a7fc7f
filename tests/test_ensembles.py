"""Ensembles: equal to their run if all members are that run, and to the mean of the probabilities otherwise."""

import functools

import numpy as np
import pytest
from small_models import write_untrained_run
from test_forced import LINES

from attn_research.cli import main
from attn_research.translator import load

SEARCHES = {
    "greedy": {},
    "beam": {"decode.beam": 3, "decode.length_penalty": "average", "decode.no_repeat_ngram_size": 2},
    "sampling": {"decode.sampling": "sample(temperature=2.0, top_p=0.9)"},
}
VARIANTS = {"none": {}, "general": {"cell": "gru"}, "coverage_gru": {"placement": "before"}}
close = functools.partial(np.testing.assert_allclose, atol=1e-6, rtol=1e-6)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs of several variants with the same vocabularies."""
    folder = tmp_path_factory.mktemp("runs")
    return {
        score: write_untrained_run(folder / score, score, seed=seed, **VARIANTS[score])
        for seed, score in enumerate(VARIANTS)
    }


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("score", ["none", "coverage_gru"])
def test_an_ensemble_of_a_run_with_itself_equals_the_run(runs, score, search):
    one, twice = load(runs[score], SEARCHES[search]), load([runs[score]] * 2, SEARCHES[search])
    for expected, actual in zip(one.n_best(LINES), twice.n_best(LINES), strict=True):
        assert [a.output for a in expected] == [a.output for a in actual]
        for a, b in zip(expected, actual, strict=True):
            close(b.weights, a.weights)
            assert b.log_probability == pytest.approx(a.log_probability, rel=1e-6, abs=1e-6)
            assert b.score == pytest.approx(a.score, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("search", SEARCHES)
def test_an_output_of_an_ensemble_has_its_forced_score_and_weights(runs, search):
    translator = load(list(runs.values()), SEARCHES[search] | {"decode.extra": 30})
    every = [one for n_best in translator.n_best(LINES) for one in n_best]
    found = [one for one in every if len(one.weights) > len(one.output)]
    assert found
    for one, same in zip(found, translator.score(*zip(*(pair[:2] for pair in found), strict=True)), strict=True):
        assert same.score == pytest.approx(one.score, abs=1e-5)
        np.testing.assert_allclose(same.weights, one.weights, atol=1e-5)


def test_an_ensemble_averages_probabilities_and_the_weights_of_members_that_attend(runs):
    """For the empty target, one step is taken: the probability of EOS."""
    members = [load(run).score(["a b c"], [""])[0] for run in runs.values()]
    (together,) = load(list(runs.values())).score(["a b c"], [""])
    mean = np.mean([np.exp(one.log_probability) for one in members])
    assert together.log_probability == pytest.approx(np.log(mean), abs=1e-5)
    attending = [one.weights for one in members if one.weights.shape[1]]
    assert len(attending) == 2
    close(together.weights, np.mean(attending, axis=0))


def test_the_order_of_the_members_changes_nothing(runs):
    paths = list(runs.values())
    for a, b in zip(load(paths).translate(LINES), load(paths[::-1]).translate(LINES), strict=True):
        assert a.output == b.output and a.log_probability == pytest.approx(b.log_probability, abs=1e-5)


@pytest.mark.parametrize(
    ("symbols", "message"),
    [
        ("abxde", "differ, first in symbol 2, which is 'c' and 'x'; an ensemble needs runs with the same"),
        ("abcdef", "differ, first in symbol 5, which is missing and 'f'; an ensemble needs runs with the same"),
    ],
)
def test_runs_with_different_vocabularies_are_one_sentence(runs, tmp_path, symbols, message, capsys):
    other = write_untrained_run(tmp_path / "other", symbols=symbols)
    words = ["translate", str(runs["none"]), str(other), "--input", str(other / "lines.txt")]
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert f"the source vocabularies of {runs['none']} and {other} {message}" in captured.err


def test_the_command_translates_with_several_runs(runs, capsys):
    paths = [str(path) for path in runs.values()]
    assert main(["translate", *paths, "--input", f"{paths[0]}/lines.txt", "--beam", "2"]) == 0
    expected = load(paths, {"decode.beam": 2}).translate(["a b c", "d e"])
    assert capsys.readouterr().out.splitlines() == [" ".join(one.output) for one in expected]
