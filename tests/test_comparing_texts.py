"""Outputs and references are scored in one normal form, with a tokenizer that suits the language."""

import unicodedata

import pytest
import sacrebleu
from known_records import record
from toy_corpus import write_text

from attn_research import config
from attn_research.data.task import load
from attn_research.metrics import METRICS, score_texts
from attn_research.metrics.text import check_tokenizer, choose_tokenizer
from attn_research.registry import Spec
from attn_research.reports.tables import Table
from attn_research.training.evaluate import score_lines
from attn_research.training.prepare import prepare

FRENCH = ["Déjà vu à la plage !", "Où êtes-vous, mon ami ?", "L'été à la plage .", "Un garçon rêve ici ."]
GREEK = ["Ο Δρόμος είναι μακρύς", "ΟΔΟΣ ΚΑΙ ΔΡΟΜΟΣ ΕΔΩ"]
CHINESE = ["一个人在沙滩上跑步。", "两只狗在雪地里玩耍。"]
JAPANESE = ["男の人が海岸を走っています。", "二匹の犬が雪の中で遊んでいる。"]
THAI = ["ผู้ชายวิ่งบนชายหาด", "สุนัขสองตัวเล่นในหิมะ"]
METHODS = {
    "as it is": str,
    "decomposed": lambda line: unicodedata.normalize("NFD", line),
    "no-break spaces": lambda line: line.replace(" ", "\xa0"),
    "double blanks": lambda line: line.replace(" ", "  "),
    "trailing blanks": lambda line: f" {line} \t",
    "separators inside": lambda line: line.replace(" ", "\u2028", 1).replace(" ", "\x1c", 1),
}


def prepare_lines(folder, lines, **options):
    pairs = [("ein Satz", line) for line in lines]
    write_text(folder, {"train": pairs * 20, "dev": pairs, "test": pairs})
    arguments = "".join(f", {name}={value!r}" for name, value in options.items())
    load.cache_clear()
    return prepare(config.Data(task=Spec(f"translation(path={str(folder)!r}, vocabulary=500{arguments})")))


def score_split(split, outputs):
    _, items, signatures = score_lines(split, outputs, split.raw)
    return {name: METRICS[name].value(*parts) for name, parts in items.items()}, signatures


@pytest.mark.parametrize("units", ["words", "subwords"])
@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_the_reference_itself_is_a_perfect_output(tmp_path, method, units, lowercase):
    test = prepare_lines(tmp_path, map(METHODS[method], FRENCH + GREEK), units=units, lowercase=lowercase).splits[
        "test"
    ]
    values, signatures = score_split(test, test.column("target"))
    assert values == pytest.approx({"exact": 1.0, "bleu": 100.0, "bleu_lc": 100.0, "chrf": 100.0, "ter": 0.0})
    assert ("case:lc" in signatures["bleu"]) == ("case:lc" in signatures["chrf"]) == lowercase


@pytest.mark.parametrize(
    ("lines", "tokenizer"), [(CHINESE, "zh"), (JAPANESE, "char"), (THAI, "char"), (FRENCH, "13a"), ([], "13a")]
)
def test_the_tokenizer_suits_the_script(lines, tokenizer):
    assert choose_tokenizer(lines) == tokenizer


@pytest.mark.parametrize(
    ("lines", "tokenizer", "edits"),
    [(CHINESE, "zh", [1, 1]), (JAPANESE, "char", [3, 1])],  # 男 の 人 が without 人 is 男 のが
)
def test_ter_counts_chinese_characters_and_runs_of_kana(lines, tokenizer, edits):
    outputs = [line[:2] + line[3:] for line in lines]
    items, signatures = score_texts(outputs, [[line] for line in lines], tokenizer)
    assert items["ter"][0].tolist() == edits and "norm:yes|punct:yes|asian:yes" in signatures["ter"]
    expected = sacrebleu.corpus_ter(outputs, [lines], normalized=True, asian_support=True).score
    assert METRICS["ter"].value(*items["ter"]) == pytest.approx(expected)


@pytest.mark.parametrize(("lines", "tokenizer"), [(CHINESE, "zh"), (JAPANESE, "char"), (THAI, "char")])
def test_languages_without_blanks_are_scored(tmp_path, lines, tokenizer):
    test = prepare_lines(tmp_path, lines).splits["test"]
    values, signatures = score_split(test, test.column("target"))
    assert values["exact"] == 1 and values["bleu"] == pytest.approx(100)
    assert f"tok:{tokenizer}|" in signatures["bleu"]
    nearly = [line[:-3] + line[-2:] for line in lines]
    items, _ = score_texts(nearly, [[line] for line in lines], tokenizer)
    expected = sacrebleu.corpus_bleu(nearly, [lines], tokenize=tokenizer).score
    assert 0 < METRICS["bleu"].value(*items["bleu"]) == pytest.approx(expected)


def test_an_explicit_tokenizer_is_used(tmp_path):
    assert prepare_lines(tmp_path, CHINESE, tokenize="char").splits["dev"].tokenize == "char"


@pytest.mark.parametrize("language", ["ja", "ko"])
def test_a_tokenizer_without_its_package_is_rejected(monkeypatch, language):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    message = rf"tokenize is '{language}-mecab', .*pip install 'sacrebleu\[{language}\]'.*'char' does not"
    with pytest.raises(ValueError, match=message):
        check_tokenizer(f"{language}-mecab")


def test_rows_with_different_tokenizers_are_reported():
    def make_row(score, tokenizer):
        split = {"metrics": {"bleu": 20.0}, "items": {}, "ceiling": None, "signatures": {"bleu": f"tok:{tokenizer}"}}
        return [record(score, seed, test=split) for seed in range(3)]

    table = Table("model.attention.score", ("test/bleu",))
    message = "BLEU has several signatures: its rows were scored with different settings."
    assert message in table.build({"dot": make_row("dot", "13a"), "general": make_row("general", "zh")}).notes
    assert message not in table.build({"dot": make_row("dot", "zh"), "general": make_row("general", "zh")}).notes
