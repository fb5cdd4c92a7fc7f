"""What a formatted date may mean to someone who is not told its locale."""

import datetime
import functools
import re
from collections import Counter
from typing import NamedTuple

from attn_research.data.formats import STYLES, YEARS, format_parts, render_date

NUMBER = re.compile(r"\d+")


class Interpretation(NamedTuple):
    """A way to read a skeleton (a text with all numbers replaced): what its numbers are, and the month if named."""

    locale: str
    style: str
    order: str  # of the numbers, for example `dMy`
    month: int


def skeleton(text: str) -> str:
    """`text` with every number replaced by 0."""
    return NUMBER.sub("0", text)


@functools.cache
def interpretation_index(locales: tuple[str, ...]) -> dict[str, set[Interpretation]]:
    """Skeleton -> all ways in which a date of the `locales` gets it; complete, since a skeleton depends on nothing but
    locale, style, month and weekday."""
    interpretations = {}
    week = [datetime.date(2000, month, day) for month in range(1, 13) for day in range(1, 8)]
    for locale in locales:
        for style in STYLES:
            for date in week:
                formatted = format_parts(date, locale, style)
                order = "".join(kind for kind, text in formatted if NUMBER.search(text)).replace("L", "M")
                month = 0 if "M" in order else date.month
                key = skeleton("".join(text for _, text in formatted))
                interpretations.setdefault(key, set()).add(Interpretation(locale, style, order, month))
    return interpretations


def count_interpretations(text: str, locales: tuple[str, ...]) -> Counter:
    """How many (locale, style) pairs write each date as `text`."""
    counts = Counter()
    numbers = NUMBER.findall(text)
    for locale, style, order, month in interpretation_index(locales).get(skeleton(text), ()):
        date = _date(dict(zip(order, numbers, strict=True)), month)
        if date and render_date(date, locale, style) == text:
            counts[date] += 1
    return counts


def _date(parts: dict[str, str], month: int) -> datetime.date | None:
    year = int(parts["y"])
    if len(parts["y"]) == 2:
        year += 1900 if year >= 50 else 2000
    if year not in YEARS:
        return None
    try:
        return datetime.date(year, int(parts.get("M", month)), int(parts["d"]))
    except ValueError:
        return None


def ceiling(text: str, locales: tuple[str, ...]) -> float:
    """Probability of the likeliest date, given that any date of 1950 to 2049, locale and style was equally likely."""
    counts = count_interpretations(text, locales).values()
    return max(counts) / sum(counts)
