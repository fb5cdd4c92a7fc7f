"""The command `translate` with an untrained run."""

import pytest

from attn_research.cli import main


def translate(run, *words: str) -> int:
    return main(["translate", str(run), "--input", str(run / "lines.txt"), *words])


def test_a_beam_search_prints_n_best_outputs(run, capsys):
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
    ("words", "message"),
    [
        ("--beam 0", "config field 'decode.beam' is 0, but must be at least 1"),
        ("--beam two", "argument --beam: invalid int value: 'two'"),
        ("--nbest", "--nbest lists the hypotheses of a beam, and greedy search has one; it needs --beam 2 or more"),
        ("--length-penalty wu", "decode.length_penalty 'wu' has no effect with decode.beam 1"),
        ("--beam 2 --length-penalty wuu", "unknown length penalty 'wuu'; known: average, none, wu; did you mean wu?"),
    ],
)
def test_an_invalid_search_is_one_sentence(run, words, message, capsys):
    try:
        status = translate(run, *words.split())
    except SystemExit as end:
        status = end.code
    captured = capsys.readouterr()
    assert (status, captured.out) == (2, "")
    assert captured.err.count("\n") == 1
    assert message in captured.err


SPOILED = b"\xef\xbb\xbfa b c\n\n  \t\na\xff\nd\re zz\r\nzz qq"


def test_an_unreadable_line_has_an_empty_output(run, capsys, tmp_path):
    (tmp_path / "lines.txt").write_bytes(SPOILED)
    (tmp_path / "clean.txt").write_bytes(b"a b c\nd e zz\nzz qq\n")
    for words in ([], ["--beam", "2", "--nbest"]):
        assert main(["translate", str(run), "--input", str(tmp_path / "clean.txt"), *words]) == 0
        clean = capsys.readouterr().out.splitlines()
        assert main(["translate", str(run), "--input", str(tmp_path / "lines.txt"), *words]) == 1
        captured = capsys.readouterr()
        lines = captured.out.splitlines()
        if words:
            assert [line for line in lines if line.split("\t")[0] in "234"] == ["2\t\t", "3\t\t", "4\t\t"]
            assert [line.split("\t")[1:] for line in lines if line[0] in "156"] == [x.split("\t")[1:] for x in clean]
        else:
            assert [lines[0], *lines[4:]] == clean and lines[1:4] == ["", "", ""]
        name, message = tmp_path / "lines.txt", captured.err.splitlines()
        assert message[:2] == [f"attn-research: {name}:{n} is empty, so its output is empty" for n in (2, 3)]
        assert message[2].startswith(f"attn-research: {name}:4 is not UTF-8: ")
        assert message[3].endswith(
            "3 symbols are not in the run's vocabulary and read as unknown; the first: 'zz' (line 5), 'qq' (line 6)"
        )
        assert len(message) == 4
