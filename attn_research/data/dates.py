"""Human-readable dates of 1950 to 2049 in many locales, to be written as ISO 8601, character by character.

The formats, month names and digits are the Unicode CLDR's (as in Babel), always of the Gregorian calendar. An item is
a date, a locale and one of the styles short, medium, long and full, each drawn uniformly. Every date belongs to one
split only.
"""

import datetime
import functools
import random
from typing import Annotated, Literal, NamedTuple

from attn_research.annotations import Items, Range
from attn_research.data.ambiguity import ceiling
from attn_research.data.formats import STYLES, TRAINING_LOCALES, UNSEEN_LOCALES, YEARS, FormatPart, align, format_parts
from attn_research.data.task import DatasetDict, from_columns, tasks

# How many of the 36,525 dates each split draws from; train draws from the others.
DATES = {"dev": 1500, "test": 4000, "test_unseen": 2000}
MIN_LENGTH = 10  # characters of an ISO date; with a lower limit hardly a date would be drawn


@tasks.register(symbols="composed", generated=True, written=("train",))
def dates(
    locale: Literal["shown", "hidden"] = "shown",
    train: Items = 30_000,
    dev: Items = 500,
    test: Items = 2000,
    longest: Annotated[int, Range(minimum=MIN_LENGTH, maximum=10_000)] = 40,
) -> DatasetDict:
    """`<en> M a r c h   9 ,   1 9 8 7` to `1 9 8 7 - 0 3 - 0 9`.

    The locale is the first source symbol when it is `shown`; both ways have the same items. `test_unseen` (half as many
    items as test) has locales that training never shows, of scripts that it does; their symbols are unknown to the
    model. A text of more than `longest` characters is drawn anew (of 40: some full Mongolian dates, 0.3 % of all). The
    gold alignment is described in `formats.align`.

    `ceiling` stands in dev and test when the locale is hidden; otherwise no text has two readings, nor has it in
    test_unseen for a system that knows which locales the split has.
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
    """A drawn date, and how it is written."""

    date: datetime.date
    locale: str
    parts: list[FormatPart]
    text: str


def _draw(split: str, size: int, locales: tuple[str, ...], longest: int) -> list[Item]:
    rng, days, items = random.Random(split), _days()[split], []
    while len(items) < size:
        date, locale, style = datetime.date.fromordinal(rng.choice(days)), rng.choice(locales), rng.choice(STYLES)
        parts = format_parts(date, locale, style)
        text = "".join(part.text for part in parts)
        if len(text) <= longest:
            items.append(Item(date, locale, parts, text))
    return items


@functools.cache
def _days() -> dict[str, list[int]]:
    """The dates of each split, as ordinals."""
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
    }
