"""The command `translate`, with a run that was not trained."""

import pytest

from attn_research.cli import main


def translate(run, *words: str) -> int:
    return main(["translate", str(run), "--input", str(run / "lines.txt"), *words])


def test_translating_with_a_beam(run, capsys):
    assert translate(run, "--beam", "3") == 0
    best = capsys.readouterr().out.splitlines()
    assert translate(run, "--beam", "3", "--nbest") == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [number for number, _, _ in lines] == ["1"] * 3 + ["2"] * 3
    assert [lines[0][2], lines[3][2]] == best
    for n_best in (lines[:3], lines[3:]):
        scores_of = [float(score) for _, score, _ in n_best]
        assert scores_of == sorted(scores_of, reverse=True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--beam 0", "config field 'decode.beam' is 0, but must be at least 1"),
        ("--beam two", "argument --beam: invalid int value: 'two'"),
        ("--nbest", "--nbest lists the hypotheses of a beam, and greedy search has one; it needs --beam 2 or more"),
        ("--length-penalty wu", "decode.length_penalty 'wu' has no effect with decode.beam 1"),
        ("--beam 2 --length-penalty wuu", "unknown length penalty 'wuu'; known: average, none, wu; did you mean wu?"),
    ],
)
def test_a_wrong_search_is_one_sentence(run, words, said, capsys):
    try:
        status = translate(run, *words.split())
    except SystemExit as end:
        status = end.code
    captured = capsys.readouterr()
    assert (status, captured.out) == (2, "")
    assert captured.err.count("\n") == 1
    assert said in captured.err
