from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from attn_research.data.vocab import BOS, EOS, PAD, UNK, UNKNOWN, Vocabulary

SENTENCES = st.lists(st.lists(st.text(min_size=1, max_size=3), max_size=6), max_size=6)


def test_special_symbols_precede_the_most_frequent_ones():
    vocabulary = Vocabulary.build({"b": 2, "a": 1, UNKNOWN: 5, "c": 2})
    assert (PAD, BOS, EOS, UNK) == (0, 1, 2, 3)
    assert vocabulary.symbols == ("b", "c", "a")
    assert vocabulary.encode(["a", "b", "c"]) == [6, 4, 5]
    assert len(vocabulary) == 7


def test_an_unknown_symbol_becomes_unk():
    vocabulary = Vocabulary.build({"a": 1})
    assert vocabulary.encode(["a", "z"]) == [4, UNK]
    assert vocabulary.decode([4, UNK]) == ["a", UNKNOWN]


def test_decoding_stops_at_eos_and_drops_special_symbols():
    vocabulary = Vocabulary(("a", "b"))
    assert vocabulary.decode([BOS, 4, PAD, 5, EOS, 4, PAD]) == ["a", "b"]


@settings(deadline=None)
@given(SENTENCES)
def test_encoding_known_symbols_is_lossless(sentences):
    vocabulary = Vocabulary.build(Counter(symbol for sentence in sentences for symbol in sentence))
    for sentence in sentences:
        assert vocabulary.decode(vocabulary.encode(sentence)) == sentence


def test_a_saved_vocabulary_loads_unchanged(tmp_path):
    vocabulary = Vocabulary(("월", "\u200f", "é", " "))
    vocabulary.save(tmp_path / "vocabulary.json")
    assert Vocabulary.load(tmp_path / "vocabulary.json") == vocabulary
