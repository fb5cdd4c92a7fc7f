"""Labels in any script: matplotlib shapes them and falls back from font to font; what no font has is a code point.

The fonts are those of the packages `manimgx_fonts` (Noto Sans for most scripts) and `noto_cjk_sans_jp_regular`
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
CODE_SIZE = 0.6  # of a code point, to that of a character


@dataclass(frozen=True)
class Label:
    """A text; `code` where it has code points in place of characters."""

    text: str
    code: bool = False

    @property
    def width(self) -> float:
        """The width in characters of full size, without combining marks."""
        bases = sum(not unicodedata.category(c).startswith("M") for c in self.text)
        return bases * (CODE_SIZE * 0.6 if self.code else 1)

    def apply_to(self, text: Text, size: float, **properties) -> None:
        """Makes it the content of `text`, at `size` points, as it is: `$` and `_` are no mathematics."""
        font = FontProperties(family=list(families()), size=size * (CODE_SIZE if self.code else 1))
        text.set(text=self.text, fontproperties=font, parse_math=False, **properties)


def symbol_label(symbol: str) -> Label:
    """The label of a source or output symbol: spaces are visible, a lone mark stands on a dotted circle."""
    short = symbol if len(symbol) <= MAX_LENGTH else symbol[: MAX_LENGTH - 1] + ELLIPSIS
    short = short.replace(" ", SPACE).replace("\n", NEW_LINE)
    lone_mark = unicodedata.category(short[:1] or "a").startswith("M")
    return text_label(DOTTED_CIRCLE * lone_mark + short)


def text_label(text: str) -> Label:
    """The label of any text; a character that cannot be shown becomes its code point, as in `D55C`."""
    if all(c in " \n" or is_visible(c) for c in text):
        return Label(text)
    symbols = [c if is_visible(c) else f"{ord(c):04X}" for c in text if c != DOTTED_CIRCLE]
    return Label(" ".join(symbols), code=True)


def is_visible(character: str) -> bool:
    """Whether the character leaves a mark on paper, in a font that we have."""
    return unicodedata.category(character) not in INVISIBLE and character in characters()


@functools.cache
def families() -> tuple[str, ...]:
    """The font families in the order in which matplotlib falls back along them."""
    for font in font_files():
        fontManager.addfont(font)
    return tuple(dict.fromkeys(FT2Font(font).family_name for font in font_files()))


@functools.cache
def characters() -> frozenset[str]:
    """The characters that some font has a glyph for."""
    return frozenset().union(*(map(chr, FT2Font(font).get_charmap()) for font in font_files()))


@functools.cache
def font_files() -> tuple[Path, ...]:
    """Noto Sans, then Noto for other scripts, then matplotlib's own font for what they lack."""
    packaged = [Path(str(file)) for package in PACKAGES for file in files(package).iterdir()]
    upright = [font for font in packaged if font.suffix in {".ttf", ".otf"} and "Italic" not in font.name]
    own = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"
    return *sorted(upright, key=lambda font: len(font.name)), own
