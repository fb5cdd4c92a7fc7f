"""Unknown output symbols are replaced by the source words that their steps attend to."""

import numpy as np
import pytest
from small_models import write_untrained_run

from attn_research.cli import main
from attn_research.data.segmentation import LearnedSegmentation
from attn_research.data.vocab import UNKNOWN
from attn_research.decoding.unknown import read_dictionary, replace_unknown
from attn_research.translator import Translation, load

WEIGHTS = np.array([[0.1, 0.9, 0.0], [0.2, 0.3, 0.5], [0.6, 0.2, 0.2], [1.0, 0.0, 0.0]])


def test_an_unknown_symbol_becomes_the_word_with_the_largest_weight():
    output = replace_unknown([UNKNOWN, "b", UNKNOWN], WEIGHTS, ["x", "y", "z"], {"y": "why", "x": "x"}.__getitem__)
    assert output == ["why", "b", "x"]


def test_learned_words_are_copied_as_they_are_written(run):
    translator = load(run)
    segmentation = LearnedSegmentation.learn(["the cat , the dog"], "words", 10, lowercase=True)
    translator._segmentations = [segmentation, segmentation]
    line = "the Zebra, cat"
    translation = Translation(translator.split(line), ["▁the", UNKNOWN, UNKNOWN], WEIGHTS[[0, 0, 2], :], 0.0, 0.0)
    assert translation.source[1] == UNKNOWN
    assert translator.join(translator.replace_unknown(translation, line)) == "the Zebra the"
    assert translator.join(translator.replace_unknown(translation, line, {"Zebra": "Zebu x"})) == "the Zebu x the"


def test_the_command_replaces_unknown_symbols(tmp_path, capsys):
    lines = ["a b qq", "zz d e zz", "c zz"]
    (tmp_path / "lines.txt").write_text("\n".join(lines))
    (tmp_path / "dictionary.tsv").write_text("zz\tZZ\na\tone\n")
    for seed in range(5):  # some seeds write no unknown symbol
        directory = write_untrained_run(tmp_path / f"run{seed}", seed=seed)
        translations = load(directory).translate(lines)
        if any(UNKNOWN in one.output for one in translations):
            break
    for words, known in (([], {}), ([str(tmp_path / "dictionary.tsv")], {"zz": "ZZ", "a": "one"})):
        options = ["--input", str(tmp_path / "lines.txt"), "--replace-unknown", *words]
        assert main(["translate", str(directory), *options]) == 0
        printed = [line.split() for line in capsys.readouterr().out.splitlines()]
        for one, line in zip(translations, printed, strict=True):
            best = [one.source[position] for position in one.weights.argmax(-1)]
            pairs = zip(one.output, best, strict=False)
            assert line == [known.get(word, word) if symbol == UNKNOWN else symbol for symbol, word in pairs]


@pytest.mark.parametrize("line", ["one", "a\tb\tc", "\tb", "a\t "])
def test_a_line_of_the_dictionary_without_two_parts_is_one_sentence(line):
    with pytest.raises(ValueError, match=r"words\.tsv:2 is .*, but must be a word, a tab and its translation"):
        read_dictionary(["a\tb", line], "words.tsv")


@pytest.mark.parametrize(
    ("score", "words", "message"),
    [
        ("none", "--replace-unknown", "but score 'none' has no attention"),
        ("general", "--replace-unknown no.tsv", "cannot read no.tsv"),
        ("general", "--force lines.txt --replace-unknown", "--replace-unknown has no effect with --force"),
    ],
)
def test_an_invalid_replacement_is_one_sentence(tmp_path, score, words, message, capsys):
    directory = write_untrained_run(tmp_path / "run", score)
    assert main(["translate", str(directory), "--input", str(directory / "lines.txt"), *words.split()]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1 and message in captured.err
