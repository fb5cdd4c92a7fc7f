"""Dates of 1950 to 2049 as people write them in many locales, to ISO 8601, character by character.

Formats, month names and digits are those of the Unicode CLDR (from Babel), in the Gregorian calendar. An item is a
date, a locale and one of the styles short, medium, long and full, each drawn uniformly. No date is in two splits. The
attributes of an item are `locale` and `style`.
"""

import datetime
import functools
import random
from typing import Annotated, Literal, NamedTuple

from attn_research.annotations import Items, Range
from attn_research.data.date_formats import (
    STYLES,
    TRAINING_LOCALES,
    UNSEEN_LOCALES,
    YEARS,
    FormatPart,
    align,
    ceiling,
    format_parts,
)
from attn_research.data.task import DatasetDict, from_columns, tasks

# The number of the 36,525 dates that each split draws from. Train draws from all others.
DATES = {"dev": 1500, "test": 4000, "test_unseen": 2000}
MIN_LENGTH = 10  # characters of an ISO date; almost no text is shorter


@tasks.register(symbols="composed", generated=True, explicit=("train",))
def dates(
    locale: Literal["shown", "hidden"] = "shown",
    train: Items = 30_000,
    dev: Items = 500,
    test: Items = 2000,
    longest: Annotated[int, Range(minimum=MIN_LENGTH, maximum=10_000)] = 40,
) -> DatasetDict:
    """A date as text to ISO 8601: `<en> M a r c h   9 ,   1 9 8 7` to `1 9 8 7 - 0 3 - 0 9`.

    With `locale="shown"` the locale is the first source symbol; with "hidden" it is missing from the same items.
    `test_unseen` has half as many items as test. Its locales do not occur in training (their symbols are unknown to the
    model), but their scripts do. A text of more than `longest` characters is drawn again (with 40, only some full
    Mongolian dates, 0.3 % of all). `date_formats.align` describes the gold alignment.

    Dev and test have a column `ceiling` when the locale is hidden. Otherwise no text is ambiguous; nor is any in
    test_unseen, for a system that knows the locales of that split.
    """
    sizes = {"train": train, "dev": dev, "test": test, "test_unseen": (test + 1) // 2}
    splits = {}
    for split, size in sizes.items():
        items = _draw(split, size, UNSEEN_LOCALES if split == "test_unseen" else TRAINING_LOCALES, longest)
        splits[split] = _columns(items, locale == "shown")
        if locale == "hidden" and split in ("dev", "test"):
            splits[split]["ceiling"] = [ceiling(item.text, TRAINING_LOCALES) for item in items]
    return from_columns(splits)


class Item(NamedTuple):
    """A date and its text."""

    date: datetime.date
    locale: str
    style: str
    parts: list[FormatPart]
    text: str


def _draw(split: str, size: int, locales: tuple[str, ...], longest: int) -> list[Item]:
    rng, days = random.Random(split), _days()[split]
    items: list[Item] = []
    while len(items) < size:
        date, locale, style = datetime.date.fromordinal(rng.choice(days)), rng.choice(locales), rng.choice(STYLES)
        parts = format_parts(date, locale, style)
        text = "".join(part.text for part in parts)
        if len(text) <= longest:
            items.append(Item(date, locale, style, parts, text))
    return items


@functools.cache
def _days() -> dict[str, list[int]]:
    """Returns the dates of each split, as ordinals."""
    first, after = datetime.date(YEARS.start, 1, 1), datetime.date(YEARS.stop, 1, 1)
    days = list(range(first.toordinal(), after.toordinal()))
    random.Random("days").shuffle(days)
    parts = {}
    for split, size in DATES.items():
        parts[split], days = days[:size], days[size:]
    return parts | {"train": days}


def _columns(items: list[Item], with_locale: bool) -> dict[str, list]:
    return {
        "source": [[f"<{item.locale}>"] * with_locale + list(item.text) for item in items],
        "target": [list(item.date.isoformat()) for item in items],
        "alignment": [align(item.parts, offset=int(with_locale)) for item in items],
        "attributes": [{"locale": item.locale, "style": item.style} for item in items],
    }
