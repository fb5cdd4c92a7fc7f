import datetime
import itertools
import random
import re
import unicodedata
from collections import Counter

import pytest
from babel.dates import format_date

from attn_research.data.date_formats import (
    STYLES,
    TRAINING_LOCALES,
    UNSEEN_LOCALES,
    align,
    ceiling,
    count_interpretations,
    format_parts,
    interpretation_index,
    render_date,
    skeleton,
)
from attn_research.data.task import load
from attn_research.registry import Spec

OPTIONS = "train=400, dev=50, test=100"
FORMATS = list(itertools.product(TRAINING_LOCALES + UNSEEN_LOCALES, STYLES))
DAYS = [datetime.date(1950, 1, 1), datetime.date(1987, 3, 9), datetime.date(2009, 10, 30), datetime.date(2049, 12, 31)]


def make_splits(locale, options=OPTIONS):
    return load(Spec(f'dates(locale="{locale}", {options})'))


def latin(text):
    return "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text)


def test_training_and_unseen_locales_are_disjoint():
    assert len(TRAINING_LOCALES) >= 60
    assert {"ko", "ja", "ar", "th", "hi"} <= {*TRAINING_LOCALES}
    assert not {*TRAINING_LOCALES} & {*UNSEEN_LOCALES}
    assert len({*TRAINING_LOCALES, *UNSEEN_LOCALES}) == len(TRAINING_LOCALES + UNSEEN_LOCALES)


def scripts(locales):
    """Returns the first words of the Unicode names of all letters: LATIN, CYRILLIC, CJK ..."""
    texts = "".join(render_date(day, locale, "full") for day in DAYS for locale in locales)
    return {unicodedata.name(letter).split()[0] for letter in texts if letter.isalpha()}


def test_training_has_the_scripts_of_unseen_locales():
    assert scripts(UNSEEN_LOCALES) <= scripts(TRAINING_LOCALES)
    assert len(scripts(TRAINING_LOCALES)) >= 20


@pytest.mark.parametrize("locale", TRAINING_LOCALES + UNSEEN_LOCALES)
def test_rendered_dates_equal_those_of_babel(locale):
    for day, style in itertools.product(DAYS, STYLES):
        assert latin(render_date(day, locale, style)) == format_date(day, style, locale)


@pytest.mark.parametrize(
    ("locale", "style", "text"),
    [
        ("en", "full", "Monday, March 9, 1987"),
        ("ko", "long", "1987년 3월 9일"),
        ("ja", "full", "1987年3月9日月曜日"),
        ("ar_EG", "long", "٩ مارس ١٩٨٧"),
        ("hi", "long", "9 मार्च 1987"),
        ("ne", "short", "८७/३/९"),
        ("th", "medium", "9 มี.ค. 1987"),
    ],
)
def test_a_date_has_the_digits_and_words_of_its_locale(locale, style, text):
    assert render_date(DAYS[1], locale, style) == text


def aligned_characters(day, locale, style):
    """Returns {position in the ISO date: aligned characters of the text}."""
    text = render_date(day, locale, style)
    actual = {}
    for i, j in align(format_parts(day, locale, style)):
        actual[j] = actual.get(j, "") + text[i]
    return actual


def test_gold_alignments_link_digits_names_and_omitted_digits():
    assert aligned_characters(DAYS[1], "en", "short") == dict(
        zip([0, 1, 2, 3, 5, 6, 8, 9], ["87", "87", "8", "7", "3", "3", "9", "9"], strict=True)
    )
    names = {0: "1", 1: "9", 2: "8", 3: "7", 5: "March", 6: "March", 8: "9", 9: "9"}
    assert aligned_characters(DAYS[1], "en", "full") == names
    assert aligned_characters(DAYS[2], "ko", "long") == dict(zip([0, 1, 2, 3, 5, 6, 8, 9], "20091030", strict=True))
    assert aligned_characters(DAYS[1], "ar_EG", "medium") == dict(
        zip([0, 1, 2, 3, 5, 6, 8, 9], "١٩٨٧٠٣٠٩", strict=True)
    )


@pytest.mark.parametrize("style", STYLES)
def test_every_iso_digit_is_aligned_with_its_source(style):
    for day, locale in itertools.product(DAYS, TRAINING_LOCALES + UNSEEN_LOCALES):
        actual, iso = aligned_characters(day, locale, style), day.isoformat()
        assert sorted(actual) == [0, 1, 2, 3, 5, 6, 8, 9]
        for position, characters in actual.items():
            if len(characters) == 1 and characters.isdecimal():
                assert latin(characters) == iso[position] or iso[position] == "0"


def test_the_alignment_counts_from_the_offset():
    formatted = format_parts(DAYS[1], "de", "full")
    assert align(formatted, offset=7) == [(i + 7, j) for i, j in align(formatted)]


def test_shown_and_hidden_locales_give_the_same_dates():
    for with_locales, without_locales in zip(
        make_splits("shown").values(), make_splits("hidden").values(), strict=True
    ):
        for with_locale, without in zip(with_locales, without_locales, strict=True):
            assert with_locale["source"][1:] == without["source"]
            assert with_locale["source"][0][1:-1] in TRAINING_LOCALES + UNSEEN_LOCALES
            assert with_locale["target"] == without["target"]
            assert [[i - 1, j] for i, j in with_locale["alignment"]] == without["alignment"]
            day = datetime.date.fromisoformat("".join(without["target"]))
            assert day in count_interpretations("".join(without["source"]), (with_locale["source"][0][1:-1],))


def test_a_date_is_in_only_one_split():
    targets = [
        {tuple(target) for target in split["target"]} for split in make_splits("shown", "train=3000, dev=500").values()
    ]
    assert sum(map(len, targets)) == len(set.union(*targets))


def test_training_never_shows_the_unseen_locales():
    splits = make_splits("shown")
    locales = {name: {source[0] for source in split["source"]} for name, split in splits.items()}
    assert locales["test_unseen"] == {f"<{locale}>" for locale in UNSEEN_LOCALES}
    assert locales["train"] | locales["dev"] | locales["test"] <= {f"<{locale}>" for locale in TRAINING_LOCALES}


def test_sizes_and_length_limit_apply():
    splits = make_splits("hidden", OPTIONS + ", longest=12")
    assert {name: len(split) for name, split in splits.items()} == {
        "train": 400,
        "dev": 50,
        "test": 100,
        "test_unseen": 50,
    }
    assert max(len(source) for split in splits.values() for source in split["source"]) == 12


def test_the_items_of_a_split_do_not_depend_on_the_sizes():
    assert make_splits("shown")["test"][:20] == make_splits("shown", "train=10, dev=10, test=20")["test"][:]


def test_a_length_limit_below_every_date_is_rejected():
    with pytest.raises(ValueError, match="longest of task 'dates' is 5, but must be at least 10"):
        make_splits("shown", "longest=5")


def test_the_numbers_of_every_format_are_separate():
    for key, actual in interpretation_index(TRAINING_LOCALES + UNSEEN_LOCALES).items():
        for interpretation in actual:
            assert len(interpretation.order) == key.count("0")
            assert sorted(interpretation.order + "M" * bool(interpretation.month)) == ["M", "d", "y"]


@pytest.mark.parametrize("locales", [*((locale,) for locale in TRAINING_LOCALES), UNSEEN_LOCALES])
def test_a_date_is_unambiguous_if_its_locale_is_known(locales):
    """The numbers and the skeleton of a text determine its date, so these splits need no ceiling."""
    for actual in interpretation_index(locales).values():
        assert len({(interpretation.order, interpretation.month) for interpretation in actual}) == 1


def test_every_date_is_among_its_interpretations():
    rng = random.Random(0)
    for _ in range(3000):
        day = datetime.date(1950, 1, 1) + datetime.timedelta(rng.randrange(36525))
        text = render_date(day, *rng.choice(FORMATS))
        assert skeleton(text) in interpretation_index(TRAINING_LOCALES + UNSEEN_LOCALES)
        assert day in count_interpretations(text, TRAINING_LOCALES + UNSEEN_LOCALES)


def test_the_ceiling_equals_a_count_over_all_rendered_dates():
    locales = ("en", "en_GB", "eu", "hu", "es", "sv")
    days = [datetime.date(2001, 1, 1) + datetime.timedelta(n) for n in range(12 * 365 + 3)]
    texts = {}
    for day, locale, style in itertools.product(days, locales, STYLES):
        texts.setdefault(render_date(day, locale, style), Counter())[day] += 1
    numbers_of_these_years = [text for text in texts if max(map(int, re.findall(r"\d+", text))) <= 12]
    assert len(numbers_of_these_years) > 1000
    for text in numbers_of_these_years:
        assert count_interpretations(text, locales) == texts[text]
        assert ceiling(text, locales) == max(texts[text].values()) / texts[text].total()
    assert min(ceiling(text, locales) for text in numbers_of_these_years) <= 0.5


def test_only_hidden_locales_have_a_ceiling():
    without_locales = make_splits("hidden", "train=10, test=1000")
    ceilings = without_locales["test"]["ceiling"][:]
    assert 0.98 < sum(ceilings) / len(ceilings) < 1
    assert "ceiling" not in without_locales["test_unseen"].column_names + make_splits("shown")["test"].column_names
