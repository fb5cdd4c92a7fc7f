"""The task `tokenized`, and vocabularies of other systems."""

import pytest
from reference_imports import SPECIALS, SYMBOLS, WORDS
from toy_corpus import corpus, write_text

from attn_research.data.segmentation import Tokens
from attn_research.data.task import default_segmentations, load
from attn_research.data.vocab import BOS, EOS, PAD, UNK
from attn_research.errors import UserError
from attn_research.importing.symbols import read
from attn_research.importing.systems import SYSTEMS
from attn_research.registry import Spec

DECOMPOSED = "o\u0308"  # ö as two characters


@pytest.fixture
def folder(tmp_path):
    write_text(tmp_path, corpus() | {"test": [(f"x@@ y {DECOMPOSED}", "a@@ b c")]})
    yield tmp_path
    load.cache_clear()


@pytest.mark.parametrize("end", [False, True])
def test_spaces_separate_symbols_and_no_character_changes(folder, end):
    spec = Spec(f"tokenized(path={str(folder)!r}, end={end})")
    item = load(spec)["test"][0]
    assert item["source"] == ["x@@", "y", DECOMPOSED, *["</s>"] * end]
    assert item["target"] == ["a@@", "b", "c"] and item["raw"] == ["a@@ b c"] and item["where"] == "test.de:1"
    source, target = default_segmentations(spec, item["target"])
    assert source.split(f" x@@  y {DECOMPOSED}\n") == item["source"]
    assert source.split(source.join(item["source"])) == item["source"] and source.split(" ") == []
    assert target.join(["a@@", "b"]) == "a@@ b"


@pytest.mark.parametrize(
    ("joiner", "symbols", "line"),
    [
        ("none", ["a@@", "b", "▁c"], "a@@ b ▁c"),
        ("subword-nmt", ["a@@", "b", "c@@", "d", "e@@"], "ab cd e"),
        ("sentencepiece", ["▁a", "b", "▁c", "▁", "d"], "ab c d"),
    ],
)
def test_subwords_are_joined_in_outputs_and_references(folder, joiner, symbols, line):
    spec = Spec(f"tokenized(path={str(folder)!r}, joiner={joiner!r})")
    target = default_segmentations(spec, [])[1]
    assert target == Tokens(joiner=joiner)
    assert target.join(symbols) == target.normalize(" ".join(symbols)) == line


def test_long_pairs_are_left_out_and_errors_are_those_of_translation(folder):
    short = load(Spec(f"tokenized(path={str(folder)!r}, longest=3)"))["train"]
    assert 0 < len(short) < len(corpus()["train"]) and max(map(len, short["source"])) <= 3
    with pytest.raises(UserError, match=r"task tokenized needs the folder of its files, as in tokenized\("):
        load(Spec("tokenized"))


def write(folder, *lines):
    (folder / "vocabulary.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return folder / "vocabulary.txt"


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("side", ["source", "target"])
def test_ids_have_the_rows_of_their_symbols(name, side, tmp_path):
    """Joey NMT's and fairseq's files may leave the special symbols out; those of fairseq always do."""
    specials, listed = SYSTEMS[name].specials, SYMBOLS[name] if name == "opennmt" else WORDS
    lines = [f"{word} 7" for word in listed] if specials.counts else listed
    symbols = read(write(tmp_path, *lines), specials, side)
    assert symbols.size == len(SYMBOLS[name])
    ends = ["</s>"] if side == "source" and name != "opennmt" else []
    assert list(symbols.vocabulary.symbols) == WORDS + ends
    names = dict(zip((PAD, BOS, EOS, UNK), specials.names, strict=True))
    for id, row in enumerate(symbols.rows):
        assert SYMBOLS[name][row] == names.get(id, symbols.vocabulary.symbols[id - len(names)])
    assert SYMBOLS[name][symbols.start] == ("</s>" if name == "fairseq" else "<s>")


def test_joey_files_list_the_special_symbols_too(tmp_path):
    symbols = read(write(tmp_path, *SYMBOLS["joeynmt"]), SYSTEMS["joeynmt"].specials, "target")
    assert symbols.size == len(SPECIALS["joeynmt"]) + len(WORDS) and list(symbols.vocabulary.symbols) == WORDS


def test_a_source_vocabulary_of_opennmt_may_lack_the_start_and_the_end(tmp_path):
    symbols = read(write(tmp_path, "<unk>", "<blank>", "a"), SYSTEMS["opennmt"].specials, "source")
    assert symbols.rows.tolist() == [1, -1, -1, 0, 2]


@pytest.mark.parametrize(
    ("name", "lines", "words"),
    [
        (
            "opennmt",
            ["<unk>", "<blank>", "<s>", "</s>", "a", "b", "a"],
            "vocabulary.txt:7 has the symbol 'a' of line 5",
        ),
        ("opennmt", ["<unk>", "<blank>", "<s>", "", "a"], "vocabulary.txt:4 has no symbol"),
        ("opennmt", ["<unk>", "<blank>", "a"], "does not list '<s>'"),
        ("fairseq", ["a 3", "b"], "vocabulary.txt:2 is not of the form SYMBOL COUNT"),
        ("fairseq", ["a x"], "vocabulary.txt:1 is not of the form SYMBOL COUNT"),
    ],
)
def test_a_wrong_vocabulary_is_one_sentence(name, lines, words, tmp_path):
    with pytest.raises(UserError, match=words):
        read(write(tmp_path, *lines), SYSTEMS[name].specials, "target")
