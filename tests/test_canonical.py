"""Configs with the same meaning are one run, however their variants are spelled."""

import json
from pathlib import Path

import pytest
from user_folder import user_folder  # noqa: F401 (a fixture)

from attn_research.cli import main
from attn_research.config import Config, digest, flatten, load, override, unflatten
from attn_research.registry import Spec
from attn_research.runs import records
from attn_research.runs.committed import load_committed
from attn_research.sweeps.expand import load_experiment
from attn_research.variants import REGISTRIES, canonical, registry, replace_spec, specs

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("field", "spellings"),
    [
        ("model.attention.normalizer", ("softmax", "softmax(temperature=1)", "softmax( temperature = 1.0 )")),
        ("model.attention.normalizer", ("softmax(temperature=2)", "softmax(temperature=2.0)")),
        ("model.attention.score", ("general", "general(learned_scale=False)", "general(learned_scale=false)")),
        ("model.decoder.placement", ("bottom", 'bottom(context="previous")')),
        ("train.optimizer", ("adam", "adam(b1=0.9, b2=0.999)", "adam(b2=0.999, eps=1e-08)")),
        ("train.schedule", ("cosine(final=0, warmup=0.1)", "cosine(warmup=0.1)")),
        ("decode.length_penalty", ("wu", "wu(alpha=0.6)")),
        ("data.task", ("dates", "dates(train=30000)", 'dates(locale="shown")')),
        ("data.task", ("copy", "copy(symbols=20)")),
    ],
)
def test_spellings_of_one_variant_are_one_config(field, spellings):
    configs = {canonical(override(Config(), {field: text})) for text in spellings}
    assert len(configs) == 1
    (config,) = configs
    assert canonical(config) == config
    bound = {repr(registry(field).bind(Spec(text)).hyper) for text in (*spellings, flatten(config)[field])}
    assert len(bound) == 1


def test_variants_inside_others_are_listed_and_normalized():
    config = override(Config(), {"model.attention.normalizer": 'milk(score="mine.py:f")', "data.task": "dates"})
    assert specs(config)["model.attention.normalizer.score"] == "mine.py:f"
    hub = override(Config(), {"data.task": 'translation(path="hub:wmt")'})
    assert [name for name in specs(hub) if name.startswith("data.task")] == ["data.task"]
    changed = replace_spec(config, "model.attention.normalizer.score", Spec("dot"))
    assert changed.model.attention.normalizer == 'milk(score="dot")'
    spelled = override(config, {"model.attention.normalizer": 'milk(score="concat(bias=False, units=4)")'})
    assert canonical(spelled).model.attention.normalizer == 'milk(score="concat(units=4)")'


def test_what_differs_stays_apart_and_what_is_unknown_stays():
    for text in (
        "softmax(temperature=2)",
        "softmx",
        "softmax(temprature=1)",
        'softmax(temperature="hot")',
        "no.py:one",
    ):
        config = override(Config(), {"model.attention.normalizer": text})
        assert canonical(config, import_user_code=True) != canonical(Config())
    assert canonical(config).model.attention.normalizer == "no.py:one"


def test_every_variant_of_a_config_has_its_registry():
    output = "model.output.normalizer"  # attention has a normalizer, too
    names = {name.rpartition(".")[2] for name in specs(Config()).keys() - {output}}
    assert names | {"output_normalizer", "window", "latent", "sampling"} == set(REGISTRIES)
    assert registry(output) is registry("output_normalizer") is not registry("model.attention.normalizer")
    assert all(registry(name).functions for name in REGISTRIES)
    assert canonical(Config()) == Config()


def test_configs_and_experiments_of_this_checkout_are_in_canonical_form():
    for path in ROOT.glob("configs/*.py"):
        assert canonical(load(path)) == load(path)
    for path in ROOT.glob("experiments/*.py"):
        committed = ROOT / "experiments/results" / f"{path.stem}.jsonl"
        runs = load_experiment(path).runs
        assert all(canonical(config) == config for config in runs)
        for record in load_committed(committed):
            config = unflatten(record["config"])
            assert canonical(config) == config
            if record["config"].keys() == flatten(config).keys():
                assert digest(config) == record["id"]


@pytest.mark.usefixtures("user_folder")
def test_a_sweep_has_a_variant_once_and_finds_records_of_every_spelling(capsys):
    Path("mine.py").write_text("def own(param, keys, query_size, scale: float = 1.0):\n    ...\n")
    spellings = ["general(learned_scale=False)", "mine.py:own", "mine.py:own(scale=1)", "mine.py:own(scale=2)"]
    arguments = ["small.py", *(word for text in spellings for word in ("--add", f"model.attention.score={text}"))]
    assert main(["sweep", *arguments, "--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3 * 4
    old = {"model.attention.score": "general(learned_scale=False)", "data.task": "fake"}
    config = override(Config(), old)
    assert set(records.by_config([{"config": json.loads(json.dumps(flatten(config)))}])) == {canonical(config)}


@pytest.mark.usefixtures("user_folder")
def test_a_record_is_data_and_imports_nothing(tmp_path):
    Path("bomb.py").write_text("raise SystemExit(3)\n")
    config = override(Config(), {"model.attention.score": "bomb.py:own(scale=1)"})
    assert list(records.by_config([{"config": flatten(config)}])) == [config]
