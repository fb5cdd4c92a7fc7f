"""Scores of given targets: equal to those of the searches, from Python and from the command line."""

import itertools

import numpy as np
import pytest
from small_models import write_untrained_run

from attn_research.cli import main
from attn_research.translator import load

LINES = ["a b c", "d e", "e", "c a b d e c a b d e a", "b b zz"]
MORE = [" ".join(line) for line in itertools.product("abc", repeat=3)]
VARIANTS = {
    "general": {},
    "none": {},
    "location": {"placement": "before"},
    "coverage_gru": {"input_feeding": "none", "cell": "gru"},
}
SEARCHES = [{}, {"decode.beam": 3, "decode.length_penalty": "wu(alpha=1.0)"}]


@pytest.mark.parametrize("score", VARIANTS)
def test_a_hypothesis_has_its_forced_score_and_weights(tmp_path, score):
    directory = write_untrained_run(tmp_path / "run", score, seed=1, **VARIANTS[score])
    penalty = {} if score == "none" else {"decode.coverage_penalty": 0.2}
    for changes in (SEARCHES[0], SEARCHES[1] | penalty):
        translator = load(directory, changes | {"decode.extra": 30})
        every = [one for n_best in translator.n_best([*LINES, *MORE]) for one in n_best]
        found = [one for one in every if len(one.weights) > len(one.output)]  # they end with EOS
        assert len(found) >= 3
        forced = translator.score([one.source for one in found], [one.output for one in found])
        for one, same in zip(found, forced, strict=True):
            assert (one.source, one.output) == (same.source, same.output)
            assert same.score == pytest.approx(one.score, abs=1e-5)
            assert same.log_probability == pytest.approx(one.log_probability, abs=1e-5)
            np.testing.assert_allclose(same.weights, one.weights, atol=1e-5)


def test_a_forced_score_does_not_depend_on_the_batch(run):
    translator, targets = load(run), ["e d", "", "a", "a b " * 9, "b"]
    together = translator.score(LINES, targets)
    for line, target, one in zip(LINES, targets, together, strict=True):
        (alone,) = translator.score([line], [target])
        assert alone.log_probability == pytest.approx(one.log_probability, abs=1e-4)
        np.testing.assert_allclose(alone.weights, one.weights, atol=1e-5)
        assert one.weights.shape == (len(target.split()) + 1, len(line.split()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["a"], []), "there are 1 sources, but 0 targets"),
        ((["a"], "b"), r"targets is a string; write a list, as in score\(\.\.\., \['b'\]\)"),
        ((["a"], [[1]]), "target 0 has 1 among its symbols, which must be strings"),
        ((["a"], [["b"] * 10_000]), "source 0 has a pair of 10001 symbols with EOS, but at most"),
    ],
)
def test_an_invalid_target_is_one_sentence(run, arguments, message):
    with pytest.raises(ValueError, match=message):
        load(run).score(*arguments)


def test_the_command_prints_one_score_per_line(run, tmp_path, capsys):
    sources, targets, drawn = tmp_path / "sources.txt", tmp_path / "targets.txt", tmp_path / "map.png"
    sources.write_text("a b c\n\nd e\nb\n")
    targets.write_bytes(b"c b a\na\n\na\xff\n")
    words = ["--input", str(sources), "--force", str(targets), "--attention", str(drawn)]
    assert main(["translate", str(run), *words]) == 1
    captured = capsys.readouterr()
    expected = load(run).score(["a b c", "d e"], ["c b a", ""])
    assert captured.out.splitlines() == [f"{expected[0].score:.4f}", "", f"{expected[1].score:.4f}", ""]
    messages = captured.err.splitlines()
    assert messages[0].endswith("sources.txt:2 is empty, so its score is empty")
    assert "sources.txt:4 has a target that is not UTF-8" in messages[1]
    assert drawn.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--nbest", "--nbest has no effect with --force"),
        ("--beam 2", "--beam has no effect with --force without a penalty"),
        ("--min-length 2", "--min-length has no effect with --force, which"),
        ("", "targets.txt has 1 lines, but "),
    ],
)
def test_invalid_options_of_forced_decoding_are_one_sentence(run, tmp_path, words, message, capsys):
    (tmp_path / "targets.txt").write_text("a\n")
    lines = ["--input", str(run / "lines.txt"), "--force", str(tmp_path / "targets.txt")]
    assert main(["translate", str(run), *lines, *words.split()]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1 and message in captured.err
