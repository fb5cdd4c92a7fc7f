"""Equal size for every row: hidden sizes that give every config the count of a reference."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_models import TINY
from test_counts import real_flops, real_parameters

from attn_research.attention.normalizers import normalizers
from attn_research.attention.scores import scores
from attn_research.config import diff, override
from attn_research.errors import UserError
from attn_research.storage import cache_root
from attn_research.sweeps import count_cache
from attn_research.sweeps.matching import FIELDS, Match, _first_at_least, describe, match_sizes
from attn_research.training.counts import count_flops, count_parameters
from attn_research.training.loop import drop_edited_code

SIZES = dict.fromkeys(FIELDS, 120) | {"model.encoder.direction": "forward", "model.embedding": 8}
BASE = override(TINY, SIZES | {"model.attention.score": "general"})
OTHERS = (
    {"model.attention.heads": 2},
    {"model.attention.heads": 3, "model.attention.split": False, "model.attention.output": 30},
    {"model.attention.query": "state_and_symbol"},
    {"model.attention.latent": "hard", "model.decoder.input_feeding": "none"},
    {"model.decoder.placement": "before"},
    {"model.decoder.placement": "bottom", "model.decoder.layers": 2},
    {"model.decoder.combination": "maxout"},
    {"model.decoder.combination": "gated"},
    {"model.decoder.bridge": "mean"},
    {"model.encoder.cell": "gru", "model.encoder.hidden": 200},
    {"model.decoder.hidden": 60},
)
SCORE = """
import jax

def mine(param, keys, query_size):
    w = param("w", jax.nn.initializers.ones, ({size},))
    return lambda query, history: keys[..., 0] * w.sum()
"""
NORMALIZERS = ("sparsemax", "mocha", "forward(agent=True)")
VARIANTS = (
    *({"model.attention.score": score} for score in scores.functions if score != "none"),
    {"model.attention.score": 'none(feed="input")'},
    *({"model.attention.normalizer": normalizer} for normalizer in NORMALIZERS),
    *OTHERS,
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTN_RESEARCH_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_parameters_of_every_variant_are_within_one_percent(changes):
    config = override(BASE, changes)
    solved = match_sizes([BASE, config], Match("parameters"))[config]
    assert real_parameters(solved) == pytest.approx(count_parameters(BASE), rel=0.01)
    assert set(diff(config, solved)) <= set(FIELDS)


@pytest.mark.parametrize("changes", [VARIANTS[0], OTHERS[5]], ids=str)
def test_flops_are_within_one_percent(changes):
    config = override(BASE, changes)
    solved = match_sizes([BASE, config], Match("flops"))[config]
    assert real_flops(solved) == pytest.approx(count_flops(BASE), rel=0.01)


def test_a_count_is_the_same_for_every_seed_and_learning_rate():
    config = override(BASE, {"seed": 7, "train.learning_rate": 0.5})
    assert match_sizes([BASE, config], Match("parameters"))[config] == config


def test_the_reference_keeps_its_size_whichever_row_it_is():
    configs = [
        override(BASE, {"model.attention.score": score, "seed": seed}) for score in ("dot", "concat") for seed in (0, 1)
    ]
    for reference, unchanged in (({}, "dot"), ({"model.attention.score": "concat( )"}, "concat")):
        solved = match_sizes(configs, Match("parameters", reference))
        assert [config for config in configs if solved[config] == config] == [
            config for config in configs if config.model.attention.score == unchanged
        ]


def test_every_task_has_its_own_reference():
    tasks = (TINY.data.task, "dates(train=100, test=20)")
    configs = [
        override(BASE, {"data.task": task, "model.attention.score": score})
        for task in tasks
        for score in ("general", "dot")
    ]
    solved = match_sizes(configs, Match("parameters"))
    assert count_parameters(configs[0]) != count_parameters(configs[2])
    for reference, other in (configs[:2], configs[2:]):
        assert solved[reference] == reference
        assert count_parameters(solved[other]) == pytest.approx(count_parameters(reference), rel=0.01)


@pytest.mark.parametrize(
    ("changes", "allowed"),
    [
        ({"model.encoder.direction": "both"}, lambda encoder, decoder: encoder == decoder and encoder % 2 == 0),
        ({"model.attention.heads": 3}, lambda encoder, decoder: encoder == decoder and encoder % 3 == 0),
        ({"model.decoder.hidden": 240}, lambda encoder, decoder: abs(2 * encoder - decoder) <= 1),
        (
            {"model.attention.heads": 4, "model.encoder.direction": "both", "model.decoder.hidden": 60},
            lambda encoder, decoder: encoder % 4 == decoder % 4 == 0 and abs(encoder - 2 * decoder) <= 4,
        ),
    ],
    ids=("two directions", "heads", "ratio", "all"),
)
def test_solved_sizes_keep_divisions_and_the_ratio(changes, allowed):
    config = override(BASE, changes)
    solved = match_sizes([BASE, config], Match("parameters", tolerance=0.1))[config]
    assert allowed(solved.model.encoder.hidden, solved.model.decoder.hidden)


def test_an_unreachable_count_is_one_sentence_with_the_way_out():
    small = override(BASE, dict.fromkeys(FIELDS, 12))
    configs = [small, *(override(small, {"model.attention.heads": 4, "seed": seed}) for seed in (0, 1))]
    with pytest.raises(UserError) as caught:
        match_sizes(configs, Match("parameters"))
    message = str(caught.value)
    assert message.startswith(f"no hidden size gives row 'heads=4' {count_parameters(small):,} parameters within 1 %: ")
    nearest = override(configs[1], dict.fromkeys(FIELDS, 12))
    assert f"the nearest is {count_parameters(nearest):,} with size 12; raise the hidden sizes" in message
    tolerance = float(message.rpartition("tolerance=")[2].rstrip(")"))
    assert match_sizes(configs, Match("parameters", tolerance=tolerance))[configs[1]] == nearest


def test_a_size_that_the_model_does_not_allow_is_one_sentence():
    fixed = {"model.attention.score": "dot", "model.attention.keys": 120}
    deeper = override(BASE, fixed | {"model.decoder.layers": 2})
    message = (
        r"MATCH needs another hidden size than 120 for row 'dot keys=120 layers=2', but score 'dot' needs query and"
    )
    with pytest.raises(UserError, match=message):
        match_sizes([BASE, deeper], Match("parameters"))
    close = override(BASE, fixed | {"model.attention.score": "cosine"})
    assert match_sizes([BASE, close], Match("parameters"))[close] == close


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("parametres",), "the quantity of Match is 'parametres'; known: flops, parameters; did you mean parameters?"),
        (("flops", {"model.score": "dot"}), "config has no field 'model.score'; "),
        (("flops", {}, 1.0), "the tolerance of Match is 1.0, but must be above 0 and below 1"),
    ],
)
def test_an_invalid_match_is_rejected(arguments, message):
    with pytest.raises(UserError) as caught:
        Match(*arguments)
    assert str(caught.value).startswith(message)


def test_a_reference_without_a_run_is_rejected():
    with pytest.raises(
        UserError, match=r"the reference of Match is .*=generl, but no run of task reverse .*=general\?"
    ):
        match_sizes([BASE], Match("parameters", {"model.attention.score": "generl"}))


def test_the_footnote_names_the_count_and_every_size():
    configs = [
        override(BASE, {"model.attention.score": score, "seed": s}) for score in ("dot", "concat") for s in (0, 1)
    ]
    match = Match("parameters")
    solved = match_sizes(configs, match)
    size = solved[configs[2]].model.decoder.hidden
    count = count_parameters(configs[0])
    text = f"Hidden sizes are solved for equal parameters ({count:,}, within 1 %): `{{}}` 120, `{{}}` {size}."
    assert describe(match, solved) == text.format("dot", "concat")
    assert describe(match, solved, lambda config: config.model.attention.score.upper()) == text.format("DOT", "CONCAT")


def test_the_footnote_tells_tasks_and_unequal_sizes_apart():
    tasks = (TINY.data.task, "dates(train=100, test=20)")
    base = override(BASE, {"model.decoder.hidden": 60, "data.shapes": 1})
    configs = [
        override(base, {"data.task": task, "model.decoder.layers": layers}) for task in tasks for layers in (1, 2)
    ]
    match = Match("parameters")
    text = describe(match, match_sizes(configs, match), lambda config: str(config.model.decoder.layers))
    counts = [f"{count_parameters(configs[i]):,} on {task}" for i, task in ((0, "reverse"), (2, "dates"))]
    assert f"({', '.join(counts)}, within 1 %): `1` 120/60, `2` " in text
    assert "(reverse)" in text or text.count("/") == 2


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=40), st.integers(-20, 20), st.integers(-50, 50), st.integers(0, 60)
)
def test_the_search_finds_the_first_step_that_reaches_the_target(growth, first, start, target):
    counts = {first + i: sum(growth[: i + 1]) for i in range(len(growth))}
    steps = range(first, first + len(growth))
    expected = next((step for step in steps if counts[step] >= target), steps[-1])
    assert _first_at_least(counts.__getitem__, target, steps, start) == expected


def test_every_normalizer_in_the_tests_is_registered():
    assert {name.partition("(")[0] for name in NORMALIZERS} <= set(normalizers.functions)


def test_counts_are_computed_once_for_all_processes(monkeypatch):
    configs = [override(BASE, {"model.attention.score": score}) for score in ("dot", "concat")]
    solved = match_sizes(configs, Match("parameters"))
    monkeypatch.setattr(count_cache, "COUNTS", {})
    assert match_sizes(configs, Match("parameters")) == solved
    (file,) = (cache_root() / "counts").iterdir()
    file.write_text("damaged")
    with pytest.raises(KeyError):
        match_sizes(configs, Match("parameters"))


def test_an_edited_score_is_counted_again(tmp_path):
    file = tmp_path / "mine.py"
    counts = []
    for size in (3, 50):
        file.write_text(SCORE.format(size=size))
        drop_edited_code()
        cache = count_cache.CountCache()
        counts.append(cache.count("parameters", override(BASE, {"model.attention.score": f"{file}:mine"})))
        cache.save()
    assert counts[1] - counts[0] == 47
