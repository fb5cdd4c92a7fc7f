"""Training and `translate` read lines, blanks and symbols alike."""

import gzip
import inspect
import io
import itertools
import logging
import unicodedata

import pytest
from toy_corpus import corpus, write_text

from attn_research.commands.input_lines import open_input, read_lines
from attn_research.config import Data
from attn_research.data.files import decode_lines
from attn_research.data.parallel import read_pairs as read_pairs
from attn_research.data.segmentation import LearnedSegmentation
from attn_research.data.task import default_segmentations, from_columns, load, tasks
from attn_research.errors import UserError
from attn_research.registry import Spec
from attn_research.training.prepare import prepare

INSIDE = ["\r", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]  # do not end a line
BLANKS = [" ", "\xa0", "\u202f", "\u3000", "\t", *INSIDE]


@pytest.fixture(autouse=True)
def _forget():
    yield
    load.cache_clear()


def test_only_a_newline_ends_a_line():
    lines = [f"a{inside}b" for inside in INSIDE]
    for end, last in itertools.product(("\n", "\r\n"), ("", "end")):
        text = "".join(line + end for line in lines) + last
        assert list(decode_lines(io.BytesIO(text.encode()))) == lines + [last] * bool(last)
        assert list(decode_lines(io.BytesIO(b"\xef\xbb\xbf" + text.encode()))) == lines + [last] * bool(last)
    first, second, third = decode_lines(io.BytesIO(b"a\n\xff\nb\n"))
    assert (first, third) == ("a", "b") and isinstance(second, UnicodeDecodeError)


@pytest.mark.parametrize("compress", [False, True])
def test_parallel_lines_stay_parallel(tmp_path, compress):
    pairs = [(f"{number} a{inside}b", f"{number}") for number, inside in enumerate(INSIDE)]
    write_text(tmp_path, {"train": pairs, "dev": pairs, "test": pairs}, compress)
    read = read_pairs(str(tmp_path), ("de", "en"), "test")["train"]
    assert list(zip(read.sources, read.targets, strict=True)) == pairs


SIZES = {"train": 30, "dev": 20, "test": 30}
GENERATED = [name for name, task in tasks.functions.items() if task.traits.get("generated")]


def small(name, **more):
    """Returns a generated task with few items."""
    known = inspect.signature(tasks.functions[name]).parameters
    options = {option: size for option, size in SIZES.items() if option in known} | more
    return Spec(f"{name}({', '.join(f'{option}={value!r}' for option, value in options.items())})")


@pytest.mark.parametrize("spec", [*map(small, GENERATED), small("dates", locale="hidden")], ids=str)
def test_generated_items_split_as_they_were_generated(spec):
    splits = load(spec)
    targets = {symbol for target in splits["train"]["target"] for symbol in target}
    source, target = default_segmentations(spec, targets)
    between = "" if spec.name == "dates" else " "
    for split in splits.values():
        for symbols, answer in zip(split["source"], split["target"], strict=True):
            line = between.join(symbols)
            assert source.split(line) == source.split(f" {unicodedata.normalize('NFD', line)}\u3000") == symbols
            assert target.join(answer) == between.join(answer)


@tasks.register
def spoken():
    """Symbols are words, but the task does not declare how lines become symbols."""
    columns = {"source": [["one", "two"]], "target": [["1", "2"]], "raw": [["1 2"]]}
    return from_columns(dict.fromkeys(("train", "dev", "test"), columns))


def test_a_task_whose_lines_split_differently_is_reported(caplog):
    with caplog.at_level(logging.WARNING):
        prepare(Data(task=Spec("test_reading:spoken")))
    messages = [record.getMessage() for record in caplog.records if record.name.startswith("attn_research")]
    assert [line.partition(":spoken: ")[2].split(",")[0] for line in messages] == [
        "a perfect output has BLEU 0.0 on dev",
        "`translate` would split the line 'onetwo'",
    ]


WORDS = ["<V;PST>had", "<A>", "a<b c>d", "été", "e\u0301te\u0301", " ice  cream\xa0", "한국", "x(y)", "𝔸"]


@pytest.fixture
def tsv(tmp_path):
    text = "".join(f"{word}\tA B{blank}e\u0301 \n" for word in WORDS for blank in (" ", "\xa0", "  "))
    for split in ("train", "dev", "test"):
        (tmp_path / f"{split}.tsv").write_bytes(text.encode())
    return Spec(f'transduction(path="{tmp_path}")')


def test_words_split_as_in_training(tsv):
    train = load(tsv)["train"]
    source, target = default_segmentations(tsv, {"A", "B", "é"})
    for word, symbols in zip(WORDS, train["source"][::3], strict=True):
        assert source.split(word) == source.split(word + " ") == symbols
        assert "".join(symbols) == " ".join(unicodedata.normalize("NFC", word).split())
    assert set(map(tuple, train["target"])) == {("A", "B", "é")}
    assert target.join(["A", "B", "é"]) == "A B é"  # as in the files, although each symbol is one character
    assert len(load(tsv)["test"]) == len(WORDS) - 1  # two normal forms of one word are one word


def test_sentences_split_as_in_training(tmp_path):
    pairs = corpus()
    spoiled = [(unicodedata.normalize("NFD", de).replace(" ", blank) + blank, en) for (de, en), blank in zip(
        pairs["test"], itertools.cycle(BLANKS[:5]), strict=False)]  # fmt: skip
    write_text(tmp_path, pairs | {"test_spoiled": spoiled})
    splits = load(Spec(f'translation(path="{tmp_path}", vocabulary=60)'))
    source, _ = splits.segmentations
    assert splits["test"]["source"][:] == splits["test_spoiled"]["source"][:]
    assert [source.split(line) for line, _ in spoiled] == splits["test"]["source"][:]


def test_unknown_symbols_keep_their_text():
    pieces = LearnedSegmentation.learn(["ein Mann läuft"], "words", 10, lowercase=True)
    line = "Ein  Wolf la\u0308uft"
    assert pieces.split(line) == ["▁ein", "<unk>", "▁läuft"]
    assert [text.strip() for text in pieces.texts(line)] == ["Ein", "Wolf", "la\u0308uft"]


def load_words(folder, **splits):
    for split in ("train", "dev", "test"):
        (folder / f"{split}.tsv").write_text(splits.get(split, "cat\tk a t\n"))
    return load(Spec(f'transduction(path="{folder}")'))


def test_numbered_words_are_further_references(tmp_path, caplog):
    lines = "abel\ta b l\nx(y)\tx\nabel(1)\te b l\ncat(12)\tk e t\ncopper(2)\tk o p\n"
    with caplog.at_level(logging.WARNING):
        splits = load_words(tmp_path, train=lines, test=lines)
    words = ["".join(word) for word in splits["test"]["source"]]
    assert words == ["abel", "x(y)", "cat", "copper(2)"]
    assert splits["test"]["references"][0] == [["a", "b", "l"], ["e", "b", "l"]]
    assert ["".join(word) for word in splits["train"]["source"]] == ["abel", "x(y)", "abel", "cat", "copper(2)"]
    messages = [record.getMessage() for record in caplog.records if record.name.startswith("attn_research")]
    assert "test.tsv:3: abel(1) is read as a further line of abel (2 words in total)" in messages
    assert any(line.startswith("test.tsv:5: copper(2) is read unchanged") for line in messages)
    assert len(messages) == 4


def test_a_compressed_input_is_read_line_by_line(tmp_path):
    (tmp_path / "lines.gz").write_bytes(gzip.compress("\ufeffa\r\n \nb".encode()))
    with open_input(str(tmp_path / "lines.gz")) as stream:
        assert [(line.text, line.flaw) for line in read_lines(stream)] == [("a", ""), (" ", "is empty"), ("b", "")]


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-9], lambda data: b"plain", lambda data: data[:14] + b"\xff" * 9]
)
def test_a_damaged_input_is_one_sentence(tmp_path, damage):
    (tmp_path / "lines.gz").write_bytes(damage(gzip.compress(b"a b c d\n" * 9)))
    with pytest.raises(UserError, match=r"cannot read .*lines.gz: "), open_input(str(tmp_path / "lines.gz")) as stream:
        list(read_lines(stream))
