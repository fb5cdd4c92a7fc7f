"""Labels in any script. Matplotlib shapes them and falls back from font to font. Missing characters are code points.

The fonts come from the packages `manimgx_fonts` (Noto Sans for most scripts) and `noto_cjk_sans_jp_regular`
(Chinese, Japanese, Korean), then matplotlib's own.
"""

import functools
import unicodedata
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import matplotlib
from matplotlib.font_manager import FontProperties, fontManager
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

PACKAGES = ("manimgx_fonts", "noto_cjk_sans_jp_regular")
SPACE, NEW_LINE, DOTTED_CIRCLE, ELLIPSIS = "␣", "↵", "◌", "…"
MAX_LENGTH = 16  # characters of a symbol
INVISIBLE = {"Cc", "Cf", "Cn", "Co", "Zl", "Zp", "Zs"}  # general categories
CODE_SIZE = 0.6  # size of a code point relative to a character


@dataclass(frozen=True)
class Label:
    """A text. `code` is True if code points replace its characters."""

    text: str
    code: bool = False

    @property
    def width(self) -> float:
        """The width in full-size characters, without combining marks."""
        bases = sum(not unicodedata.category(c).startswith("M") for c in self.text)
        return bases * (CODE_SIZE * 0.6 if self.code else 1)

    def apply_to(self, text: Text, size: float, **properties) -> None:
        """Sets the content of `text`, at `size` points, without mathematics: `$` and `_` stay characters."""
        font = FontProperties(family=list(families()), size=size * (CODE_SIZE if self.code else 1))
        text.set(text=self.text, fontproperties=font, parse_math=False, **properties)


def symbol_label(symbol: str) -> Label:
    """Returns the label of a source or output symbol: spaces are visible, and a lone mark is on a dotted circle."""
    short = symbol if len(symbol) <= MAX_LENGTH else symbol[: MAX_LENGTH - 1] + ELLIPSIS
    short = short.replace(" ", SPACE).replace("\n", NEW_LINE)
    lone_mark = unicodedata.category(short[:1] or "a").startswith("M")
    return text_label(DOTTED_CIRCLE * lone_mark + short)


def text_label(text: str) -> Label:
    """Returns the label of a text. If a character cannot be shown, code points such as `D55C` replace it."""
    if all(c in " \n" or is_visible(c) for c in text):
        return Label(text)
    symbols = [c if is_visible(c) else f"{ord(c):04X}" for c in text if c != DOTTED_CIRCLE]
    return Label(" ".join(symbols), code=True)


def is_visible(character: str) -> bool:
    """Whether the character is visible in one of the fonts."""
    return unicodedata.category(character) not in INVISIBLE and character in characters()


@functools.cache
def families() -> tuple[str, ...]:
    """Returns the font families in matplotlib's fallback order."""
    for font in font_files():
        fontManager.addfont(font)
    return tuple(dict.fromkeys(FT2Font(font).family_name for font in font_files()))


@functools.cache
def characters() -> frozenset[str]:
    """Returns the characters that have a glyph in some font."""
    return frozenset().union(*(map(chr, FT2Font(font).get_charmap()) for font in font_files()))


@functools.cache
def font_files() -> tuple[Path, ...]:
    """Returns the files of Noto Sans, of Noto for other scripts, and of matplotlib's own font."""
    packaged = [Path(str(file)) for package in PACKAGES for file in files(package).iterdir()]
    upright = [font for font in packaged if font.suffix in {".ttf", ".otf"} and "Italic" not in font.name]
    default = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"
    return *sorted(upright, key=lambda font: len(font.name)), default
