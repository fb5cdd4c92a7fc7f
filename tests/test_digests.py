"""Digests of configs and experiments never change, so that runs keep their names."""

import hashlib
from pathlib import Path

import pytest

from attn_research.config import LATER, Config, digest, field_types, flatten, load, override, unflatten
from attn_research.sweeps.expand import load_experiment

TOP = Path(__file__).parents[1]
CONFIGS = {
    "dates": "e241c63be4",
    "g2p_cmudict": "e45a7c57c2",
    "long_sort": "0952de82db",
    "multi30k_deen": "fb88a4820a",
}
# Of the runs with the seeds 0 to 2: (their number, smallest digest, start of the SHA-256 of all sorted digests)
EXPERIMENTS = {
    "attention_zoo": (366, "005e410feb", "65581a763a"),
    "g2p_scores": (18, "23f44c756c", "9f3e4bf05f"),
    "bahdanau2015_length": (18, "0317eb5446", "92a70cb39d"),
    "bentrevett_multi30k": (9, "0063b83598", "6851a7be3c"),
    "luong2015_table1": (18, "288815566b", "cdb957bf6a"),
    "luong2015_table4": (30, "0249ea128d", "cd7a08899e"),
    "luong2015_table6": (30, "0249ea128d", "cd7a08899e"),
    "multi30k_scores": (12, "239a43dc41", "c8b823e573"),
    "score_functions": (18, "1b9e90ccbb", "622e672352"),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_digests_of_configs_never_change(name):
    assert digest(load(TOP / "configs" / f"{name}.py")) == CONFIGS[name]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_digests_of_experiments_never_change(name):
    runs = load_experiment(TOP / "experiments" / f"{name}.py").runs
    names = sorted({digest(config) for config in runs if config.seed < 3})
    sha = hashlib.sha256(" ".join(names).encode()).hexdigest()[:10]
    assert (len(names), names[0], sha) == EXPERIMENTS[name]


def test_a_new_field_changes_the_digest_only_if_it_is_not_its_default():
    assert {name: flatten(Config())[name] for name in LATER} == LATER
    assert LATER.keys() <= field_types(Config()).keys()
    other = override(Config(), {"model.attention.bias": "values"})
    assert digest(other) != digest(Config())
    assert unflatten(flatten(other)) == other


def test_a_record_older_than_a_field_has_the_same_config():
    before = {name: value for name, value in flatten(Config()).items() if name not in LATER}
    assert unflatten(before) == Config()
