"""Symbols of any script as labels: in a font that has them, or else as their code points, never as boxes.

Fonts are looked for in the packages `manimgx_fonts` (Noto Sans for most scripts) and `noto_cjk_sans_jp_regular`
(Chinese, Japanese, Korean), then in what matplotlib brings, and last among the system's fonts.
"""

import functools
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import matplotlib
from matplotlib.font_manager import FontProperties, findSystemFonts
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

PACKAGES = ("manimgx_fonts", "noto_cjk_sans_jp_regular")
SPACE, NEW_LINE, DOTTED_CIRCLE, ELLIPSIS = "␣", "↵", "◌", "…"
LONGEST = 16  # characters of a symbol
INVISIBLE = {"Cc", "Cf", "Cn", "Co", "Zl", "Zp", "Zs"}  # general categories
CODES = "0123456789ABCDEF "
CODE_SIZE = 0.6  # of a code point, to that of a character


@dataclass(frozen=True)
class Label:
    """Text and the font it is set in; `code` where it tells code points instead of the characters themselves."""

    text: str
    font: Path
    code: bool = False

    @property
    def width(self) -> float:
        """In characters of full size, marks not counted."""
        bases = sum(not unicodedata.category(c).startswith("M") for c in self.text)
        return bases * (CODE_SIZE * 0.6 if self.code else 1)

    def put(self, text: Text, size: float, **properties) -> None:
        """Make it the content of `text`, at `size` points, as it is: `$` and `_` are no mathematics."""
        font = FontProperties(fname=self.font, size=size * (CODE_SIZE if self.code else 1))
        text.set(text=self.text, fontproperties=font, parse_math=False, **properties)


def symbol_label(symbol: str) -> Label:
    """A symbol or a word of a source or an output: its blanks visible, a lone mark on a dotted circle."""
    short = symbol if len(symbol) <= LONGEST else symbol[: LONGEST - 1] + ELLIPSIS
    short = short.replace(" ", SPACE).replace("\n", NEW_LINE)
    lone_mark = unicodedata.category(short[:1] or "a").startswith("M")
    return text_label(DOTTED_CIRCLE * lone_mark + short)


def text_label(text: str) -> Label:
    """Any text, of lines; of characters that cannot be shown the code points, as in `D55C`."""
    hidden = {c for c in text if c not in " \n" and unicodedata.category(c) in INVISIBLE}
    font = None if hidden else font_for(text.replace("\n", ""))
    if font:
        return Label(text, font)
    able = [font for font in _packaged() if characters(font).issuperset(CODES)]
    best = max(able, key=lambda font: len(set(text) & characters(font)))
    shown = [c if c in characters(best) - hidden else f"{ord(c):04X}" for c in text if c != DOTTED_CIRCLE]
    return Label(" ".join(shown), best, code=True)


def font_for(text: str) -> Path | None:
    """The first font that has every character of `text`, so that marks sit on their bases; None if there is none."""
    return next((font for font in _fonts() if characters(font).issuperset(text)), None)


@functools.cache
def characters(font: Path) -> frozenset[str]:
    """What a font has glyphs for; nothing if it is one that matplotlib cannot read."""
    try:
        return frozenset(map(chr, FT2Font(font).get_charmap()))
    except (OSError, RuntimeError):
        return frozenset()


def _fonts() -> Iterator[Path]:
    yield from _packaged()
    yield from _system()


@functools.cache
def _packaged() -> tuple[Path, ...]:
    """Noto Sans, then Noto for other scripts, and matplotlib's own font for what they lack."""
    found = [Path(str(file)) for package in PACKAGES for file in files(package).iterdir()]
    noto = sorted((font for font in found if font.suffix in {".ttf", ".otf"}), key=lambda font: len(font.name))
    upright = [font for font in noto if "Italic" not in font.name]
    return *upright, Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"


@functools.cache
def _system() -> tuple[Path, ...]:
    return tuple(sorted(map(Path, findSystemFonts())))
