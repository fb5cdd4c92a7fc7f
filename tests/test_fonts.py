import functools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from attn_research.reports import fonts
from attn_research.reports.fonts import symbol_label, text_label


@pytest.fixture
def only_latin(monkeypatch):
    """A machine without fonts other than matplotlib's."""
    own = fonts.font_files()[-1:]
    monkeypatch.setattr(fonts, "font_files", lambda: own)
    for name in ("families", "characters"):
        monkeypatch.setattr(fonts, name, functools.cache(getattr(fonts, name).__wrapped__))


def draw(label):
    """Draws the label. Matplotlib warns about missing glyphs, and warnings are errors here."""
    figure = Figure()
    label.apply_to(figure.text(0.5, 0.5, ""), 10)
    figure.canvas.draw()
    return label


@pytest.mark.parametrize(
    "symbol", ["a", "한", "日", "月", "س", "ว", "श", "ג", "က", "፩", "ą", "Ж", "İ", "ß", "AH", "한국"]
)
def test_symbols_of_many_scripts_are_drawn(symbol):
    label = draw(symbol_label(symbol))
    assert label.text == symbol and not label.code


@pytest.mark.parametrize("mark", ["\u0e31", "\u0e35", "\u093f", "\u0902", "\u064e", "\u0301", "\u103e"])
def test_a_lone_mark_gets_a_dotted_circle(mark):
    label = draw(symbol_label(mark))
    assert label.text == "◌" + mark and not label.code and label.width == 1


@pytest.mark.parametrize(
    ("symbol", "text"), [("\u200f", "200F"), ("\u202f", "202F"), ("\t", "0009"), ("\ue000", "E000"), ("𒀀", "12000")]
)
def test_invisible_characters_are_code_points(symbol, text):
    label = draw(symbol_label(symbol))
    assert label.text == text and label.code


def test_blanks_are_visible_and_long_words_truncated():
    assert symbol_label(" ").text == "␣" and symbol_label("\n").text == "↵"
    assert symbol_label("a" * 17).text == "a" * 15 + "…"
    assert text_label("one two\nthree").text == "one two\nthree"


@pytest.mark.usefixtures("only_latin")
@pytest.mark.parametrize(
    ("symbol", "text"), [("한", "D55C"), ("日本", "65E5 672C"), ("\u0e31", "0E31"), ("xश", "x 0936"), ("é", "é")]
)
def test_characters_without_a_glyph_are_code_points(symbol, text):
    label = draw(symbol_label(symbol))
    assert label.text == text and label.code == (text != symbol)


@pytest.mark.parametrize("symbol", ["$x_1$", r"\alpha", "$", "a^b", "{", r"\$", "%"])
def test_no_symbol_is_parsed_as_mathematics(symbol):
    figure = Figure()
    text = figure.text(0, 0, "")
    symbol_label(symbol).apply_to(text, 10)
    figure.canvas.draw()
    assert text.get_text() == symbol and not text.get_parse_math()


@given(st.text(max_size=20))
def test_every_character_of_a_label_has_a_glyph(text):
    for label in (symbol_label(text), text_label(text.replace("\n", ""))):
        assert set(label.text) <= fonts.characters() | {" "}


def test_scripts_mix_in_one_label():
    label = draw(symbol_label("a한س日"))
    assert label.text == "a한س日" and not label.code
    assert draw(symbol_label("😀\ue00a")) == fonts.Label("😀 E00A", code=True)
