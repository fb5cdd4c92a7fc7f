"""A date in a locale's own words and digits, with the characters that each digit of the ISO date comes from."""

import datetime
import functools
from typing import NamedTuple

from babel import Locale
from babel.dates import DateTimeFormat, get_date_format, tokenize_pattern

YEARS = range(1950, 2050)
STYLES = ("short", "medium", "long", "full")
# fmt: off
TRAINING_LOCALES = (
    "af", "am", "ar", "ar_EG", "az", "bg", "bn", "ca", "cs", "da", "de", "el", "en", "en_GB", "es", "et", "eu", "fi",
    "fil", "fr", "ga", "gu", "he", "hi", "hr", "hu", "hy", "id", "is", "it", "ja", "ka", "kk", "km", "kn", "ko", "ky",
    "lo", "lt", "lv", "ml", "mn", "ms", "my", "nb", "ne", "nl", "pa", "pl", "pt", "ro", "ru", "si", "sk", "sl", "sq",
    "sr", "sv", "sw", "ta", "te", "th", "tr", "uk", "uz", "vi", "zh", "zh_Hant",
)
UNSEEN_LOCALES = ("as", "be", "cy", "fo", "gl", "mk", "mr", "ur")
# fmt: on

# Where the ISO date has what a CLDR field says.
ISO_POSITIONS = {"y": range(0, 4), "M": range(5, 7), "L": range(5, 7), "d": range(8, 10)}
# Digit zero of the numbering systems that are a locale's own; Babel itself writes dates in latn only.
ZERO = {"latn": "0", "arab": "٠", "beng": "০", "deva": "०", "mymr": "၀"}

Link = tuple[int, int]  # (character of the text, character of the ISO date)


class FormatPart(NamedTuple):
    """A part of a format or of a formatted date; a literal's `kind` is empty."""

    kind: str  # what it says: `y`, `M`, `L`, `d`, or another first letter of a CLDR field
    text: str  # in a format the field, such as `MMMM`


@functools.cache
def pattern_parts(locale: str, style: str) -> list[FormatPart]:
    """The pieces of a locale's date format."""
    tokens = tokenize_pattern(get_date_format(style, locale).pattern)
    return [
        FormatPart("", value) if kind == "chars" else FormatPart(value[0], value[0] * value[1])
        for kind, value in tokens
    ]


def format_parts(date: datetime.date, locale: str, style: str) -> list[FormatPart]:
    """The formatted date; joined, the texts are what Babel's `format_date` writes, but in the locale's own digits."""
    parts = {"y": date.year, "M": date.month, "L": date.month, "d": date.day, "": 0}
    weekday = date.weekday()
    return [_fill(locale, part, parts.get(part.kind, weekday)) for part in pattern_parts(locale, style)]


@functools.cache
def _fill(locale: str, part: FormatPart, value: int) -> FormatPart:
    match part.kind:
        case "":
            return part
        case "y":
            date = datetime.date(value, 1, 1)
        case "M" | "L":
            date = datetime.date(2000, value, 1)
        case "d":
            date = datetime.date(2000, 1, value)
        case _:
            date = datetime.date(2024, 1, 1 + value)  # a Monday and the days after it
    return FormatPart(part.kind, DateTimeFormat(date, locale)[part.text].translate(_digits(locale)))


@functools.cache
def _digits(locale: str) -> dict[int, int]:
    zero = ZERO[Locale.parse(locale).default_numbering_system]
    return {ord("0") + digit: ord(zero) + digit for digit in range(10)}


def render_date(date: datetime.date, locale: str, style: str) -> str:
    """The formatted date as a text."""
    return "".join(text for _, text in format_parts(date, locale, style))


def align(parts: list[FormatPart], offset: int = 0) -> list[Link]:
    """The gold alignment of the ISO date with a formatted date that starts at the source symbol `offset`.

    A digit that stands in the text is aligned with itself. The places that have no digit of their own, the century of a
    two-digit year and the zero before a single digit, rest on all digits of their field. A month that is said by name
    rests on all characters of the name. The hyphens, the weekday and the words between rest on nothing.
    """
    links = []
    for kind, text in parts:
        if kind in ISO_POSITIONS:
            links += _links(text, offset, ISO_POSITIONS[kind])
        offset += len(text)
    return links


@functools.cache
def _links(text: str, offset: int, positions: range) -> list[Link]:
    digits = [i for i, character in enumerate(text, offset) if character.isdecimal()]
    if not digits:
        return [(i, j) for j in positions for i in range(offset, offset + len(text))]
    inferred, explicit = positions[: -len(digits)], positions[-len(digits) :]
    return [(i, j) for j in inferred for i in digits] + list(zip(digits, explicit, strict=True))
