import json
import math
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from attn_research.annotations import conform
from attn_research.config import (
    Config,
    diff,
    digest,
    field_types,
    flatten,
    load,
    override,
    parse_changes,
    unflatten,
)
from attn_research.registry import Spec

FIELDS = tuple(field_types(Config()))
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers(), max_size=2)
SCORES = st.sampled_from(["dot", "general", "concat(units=8)", "my_scores.py:cosine(scale=2.0)"])
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "seed": st.integers(0, 10**9),
        "model.attention.score": SCORES,
        "model.attention.keys": st.none() | st.integers(1, 512),
        "model.dropout": st.floats(0, 0.99),
        "train.learning_rate": st.floats(1e-9, 1e3),
        "train.patience": st.none() | st.integers(1, 9),
        "model.decoder.placement": st.sampled_from(["before", "after", 'bottom(context="current")']),
    },
)


@pytest.mark.parametrize("name", FIELDS)
def test_every_default_conforms_to_its_annotation(name):
    """Configs do not check their defaults again."""
    value = flatten(Config())[name]
    assert repr(conform(value, field_types(Config())[name], name)) == repr(value)


def test_a_part_of_another_type_is_an_error():
    with pytest.raises(ValueError, match="config field 'train' of Config is 3, but must be of type Train"):
        Config(train=3)


@given(CHANGES)
def test_a_config_survives_flat_json(changes):
    config = override(Config(), changes)
    again = unflatten(json.loads(json.dumps(flatten(config))))
    assert again == config
    assert hash(again) == hash(config)
    assert digest(again) == digest(config)


@given(CHANGES)
def test_diff_lists_exactly_the_changes(changes):
    config = override(Config(), changes)
    differing = diff(Config(), config)
    assert set(differing) <= set(changes)
    assert override(Config(), {name: new for name, (_, new) in differing.items()}) == config


@given(CHANGES, CHANGES)
def test_different_configs_have_different_digests(left, right):
    a, b = override(Config(), left), override(Config(), right)
    assert (digest(a) == digest(b)) == (a == b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (
            {"model.attention.score": "concat(units=64, bias=True)"},
            {"model.attention.score": "concat( bias = True,units=64 )"},
        ),
        ({"model.attention.score": "a(x=[1, 2])"}, {"model.attention.score": "a(x=(1, 2))"}),
        ({"model.attention.score": "a(x='y')"}, {"model.attention.score": 'a(x="y")'}),
        ({"train.learning_rate": 1}, {"train.learning_rate": 1.0}),
        ({"seed": 1, "train.steps": 2}, {"train.steps": 2, "seed": 1}),
        ({}, {"seed": 0}),
    ],
)
def test_a_digest_is_stable_under_spelling(a, b):
    assert digest(override(Config(), a)) == digest(override(Config(), b))


@given(st.text() | st.sampled_from(FIELDS), VALUES)
@example("model.dropout", math.nan)
@example("train.learning_rate", math.inf)
@example("train.learning_rate", 10**400)
def test_override_changes_a_field_or_explains_why_not(name, value):
    try:
        config = override(Config(), {name: value})
    except ValueError as error:
        assert name in str(error) or repr(name) in str(error)
    else:
        assert unflatten(flatten(config)) == config
        assert all(math.isfinite(leaf) for leaf in flatten(config).values() if isinstance(leaf, float))


@given(st.lists(st.text() | st.builds("{}={}".format, st.sampled_from(FIELDS), st.text()), max_size=3))
@example(["seed=" + "(" * 10_000])
@example(["seed=" + "-" * 100_000 + "1"])
@example(["data.task=a(**1)"])
def test_no_command_line_crashes(arguments):
    try:
        override(Config(), parse_changes(arguments))
    except ValueError as error:
        assert str(error)


@given(st.from_regex(r"[a-z.]{1,12}", fullmatch=True).filter(lambda name: name not in FIELDS))
def test_an_unknown_field_is_reported_with_all_known_ones(name):
    with pytest.raises(ValueError) as caught:
        override(Config(), {name: 1})
    assert all(field in str(caught.value) for field in FIELDS)


def test_parse_changes_keeps_specs_and_choices_as_text():
    arguments = [
        "model.attention.score=concat(units=64)",
        "model.encoder.direction=both",
        "seed=2",
        "train.patience=None",
    ]
    assert parse_changes(arguments) == {
        "model.attention.score": "concat(units=64)",
        "model.encoder.direction": "both",
        "seed": 2,
        "train.patience": None,
    }


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("seed", "'seed' is not of the form name=value, as in seed=2; known: "),
        ("sed=2", "config has no field 'sed'; known: "),
        ("sed=2", "did you mean seed?"),
        ("seed=two", "config field 'seed' is 'two', but must be of type int"),
        ("seed=-1", "config field 'seed' is -1, but must be at least 0"),
        ("train.steps=0", "config field 'train.steps' is 0, but must be at least 1"),
        ("train.steps=1.5", "config field 'train.steps' is 1.5, but must be of type int"),
        ("train.learning_rate=0", "config field 'train.learning_rate' is 0.0, but must be above 0"),
        ("model.dropout=1", "config field 'model.dropout' is 1.0, but must be at least 0 and below 1"),
        ("model.encoder.direction=bth", "known: both, forward, reversed; did you mean both?"),
        ("model.attention.score=a(1)", "config field 'model.attention.score': 'a(1)' is not a spec string"),
    ],
)
def test_errors_are_single_sentences(word, message):
    with pytest.raises(ValueError) as caught:
        override(Config(), parse_changes([word]))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_override_does_not_change_the_original():
    config = Config()
    assert override(config, {"model.attention.score": "general"}).model.attention.score == Spec("general")
    assert config == Config()


def test_load_reads_the_config_of_a_file(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("from attn_research.config import Config\nconfig = Config(seed=3)\n")
    assert load(file) == Config(seed=3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("conf = 1\n", "defines no Config named 'config'"),
        ("from attn_research.config import Config\nconfig = Config(seed='x')\n", "'seed' of Config is 'x'"),
    ],
)
def test_load_reports_a_file_without_a_config(tmp_path, text, message):
    file = tmp_path / "mine.py"
    file.write_text(text)
    with pytest.raises(ValueError, match=message):
        load(file)


def test_load_reports_the_nearest_file(tmp_path):
    (tmp_path / "dates.py").touch()
    with pytest.raises(ValueError, match=r"no file .*date.py; known: dates.py; did you mean dates.py\?"):
        load(tmp_path / "date.py")


@pytest.mark.parametrize(("written", "value"), [("true", True), ("false", False), ("True", True), ("False", False)])
def test_booleans_may_be_lower_case(written, value):
    arguments = [f"model.attention.split={written}", f"model.attention.score=concat(bias={written})"]
    attention = override(Config(), parse_changes(arguments)).model.attention
    assert attention.split is value
    assert attention.score == f"concat(bias={value})"


def test_advice_in_messages_is_valid():
    """The command line accepts every `field=value` that appears in the source of the package."""
    sources = (Path(__file__).parent.parent / "attn_research").rglob("*.py")
    text = "".join(path.read_text(encoding="utf-8") for path in sources)
    advised = set(re.findall(rf"\b((?:{'|'.join(map(re.escape, FIELDS))})=\w+(?:\([^)]*\))?)(?![.:\w-])", text))
    assert {"model.attention.split=false", "model.decoder.input_feeding=none"} <= advised
    for word in sorted(advised):
        override(Config(), parse_changes([word]))
