"""Date formats of the Unicode CLDR: how a locale writes a date, and which dates a written text can mean."""

import datetime
import functools
import re
from collections import Counter
from typing import Literal, NamedTuple

from babel import Locale
from babel.dates import DateTimeFormat, get_date_format, tokenize_pattern

Style = Literal["short", "medium", "long", "full"]

YEARS = range(1950, 2050)
STYLES: tuple[Style, ...] = ("short", "medium", "long", "full")
# fmt: off
TRAINING_LOCALES = (
    "af", "am", "ar", "ar_EG", "az", "bg", "bn", "ca", "cs", "da", "de", "el", "en", "en_GB", "es", "et", "eu", "fi",
    "fil", "fr", "ga", "gu", "he", "hi", "hr", "hu", "hy", "id", "is", "it", "ja", "ka", "kk", "km", "kn", "ko", "ky",
    "lo", "lt", "lv", "ml", "mn", "ms", "my", "nb", "ne", "nl", "pa", "pl", "pt", "ro", "ru", "si", "sk", "sl", "sq",
    "sr", "sv", "sw", "ta", "te", "th", "tr", "uk", "uz", "vi", "zh", "zh_Hant",
)
UNSEEN_LOCALES = ("as", "be", "cy", "fo", "gl", "mk", "mr", "ur")
# fmt: on

# Positions of the CLDR fields in an ISO date.
ISO_POSITIONS = {"y": range(0, 4), "M": range(5, 7), "L": range(5, 7), "d": range(8, 10)}
# Digit zero of the locales' numbering systems. Babel writes dates only in latn.
ZERO = {"latn": "0", "arab": "٠", "beng": "০", "deva": "०", "mymr": "၀"}
NUMBER = re.compile(r"\d+")

Link = tuple[int, int]  # (character of the text, character of the ISO date)


class FormatPart(NamedTuple):
    """A part of a format, or of a formatted date."""

    kind: str  # first letter of the CLDR field: `y`, `M`, `L`, `d` or another; empty for a literal
    text: str  # in a format, the field itself, such as `MMMM`


@functools.cache
def pattern_parts(locale: str, style: Style) -> list[FormatPart]:
    """Returns the parts of a locale's date format."""
    tokens = tokenize_pattern(get_date_format(style, locale).pattern)
    return [
        FormatPart("", value) if isinstance(value, str) else FormatPart(value[0], value[0] * value[1])
        for _, value in tokens
    ]


def format_parts(date: datetime.date, locale: str, style: Style) -> list[FormatPart]:
    """Returns the parts of a formatted date.

    Their texts, joined, are Babel's `format_date` in the locale's own digits.
    """
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
            date = datetime.date(2024, 1, 1 + value)  # 2024-01-01 is a Monday
    return FormatPart(part.kind, DateTimeFormat(date, locale)[part.text].translate(_digits(locale)))


@functools.cache
def _digits(locale: str) -> dict[int, int]:
    zero = ZERO[Locale.parse(locale).default_numbering_system]
    return {ord("0") + digit: ord(zero) + digit for digit in range(10)}


def render_date(date: datetime.date, locale: str, style: Style) -> str:
    """Returns the formatted date as text."""
    return "".join(text for _, text in format_parts(date, locale, style))


def align(parts: list[FormatPart], offset: int = 0) -> list[Link]:
    """Returns the gold alignment between a formatted date and its ISO date.

    - An ISO digit that occurs in the text is aligned with that digit.
    - The century of a two-digit year and the zero before a one-digit number are aligned with all digits of their field.
    - Both digits of a month that is written by name are aligned with all characters of the name.
    - The hyphens are aligned with nothing, and so are the weekday and the words between.

    Args:
      parts: the formatted date.
      offset: index of its first character in the source.
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


class Interpretation(NamedTuple):
    """A way to read a skeleton: what each number means, and the month if it is written by name."""

    locale: str
    style: Style
    order: str  # of the numbers, for example `dMy`
    month: int  # 0 if it is one of the numbers


def skeleton(text: str) -> str:
    """Returns `text` with every number replaced by 0."""
    return NUMBER.sub("0", text)


@functools.cache
def interpretation_index(locales: tuple[str, ...]) -> dict[str, set[Interpretation]]:
    """Returns all interpretations of every skeleton that a date of the `locales` can have.

    The index is complete: a skeleton depends only on locale, style, month and weekday.
    """
    interpretations: dict[str, set[Interpretation]] = {}
    days = [datetime.date(2000, month, day) for month in range(1, 13) for day in range(1, 8)]  # with every weekday
    for locale in locales:
        for style in STYLES:
            for date in days:
                parts = format_parts(date, locale, style)
                order = "".join(kind for kind, text in parts if NUMBER.search(text)).replace("L", "M")
                month = 0 if "M" in order else date.month
                key = skeleton("".join(text for _, text in parts))
                interpretations.setdefault(key, set()).add(Interpretation(locale, style, order, month))
    return interpretations


def count_interpretations(text: str, locales: tuple[str, ...]) -> Counter[datetime.date]:
    """Counts, for each date, the (locale, style) pairs that write it as `text`."""
    counts: Counter[datetime.date] = Counter()
    numbers = NUMBER.findall(text)
    for locale, style, order, month in interpretation_index(locales).get(skeleton(text), ()):
        date = _parse_date(dict(zip(order, numbers, strict=True)), month)
        if date and render_date(date, locale, style) == text:
            counts[date] += 1
    return counts


def _parse_date(numbers: dict[str, str], month: int) -> datetime.date | None:
    year = int(numbers["y"])
    if len(numbers["y"]) == 2:
        year += 1900 if year >= 50 else 2000
    if year not in YEARS:
        return None
    try:
        return datetime.date(year, int(numbers.get("M", month)), int(numbers["d"]))
    except ValueError:
        return None


def ceiling(text: str, locales: tuple[str, ...]) -> float:
    """Returns the probability of the most likely date of `text` if its locale is unknown.

    All dates of 1950 to 2049, all `locales` and all styles are equally likely.
    """
    counts = count_interpretations(text, locales).values()
    return max(counts) / sum(counts)
