import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from damage import damages
from fake_runs import make_record
from hypothesis import given
from hypothesis import strategies as st

from attn_research.config import Config, digest, override
from attn_research.errors import UserError
from attn_research.runs import records
from attn_research.runs.committed import load_committed, save_committed
from attn_research.runs.environment import environment, git_state
from attn_research.runs.record_format import FIELDS, SPLIT_FIELDS, to_json


def record(config=None, **more):
    config = config or Config()
    return make_record(config) | more


@given(st.lists(st.integers(0, 65535)))
def test_packing_items_is_lossless(items):
    assert records.unpack(records.pack(np.array(items, int))).tolist() == items


@pytest.mark.parametrize("items", [[-1], [65536]])
def test_items_out_of_range_cannot_be_packed(items):
    with pytest.raises(ValueError, match="cannot be packed"):
        records.pack(items)


def test_a_record_is_read_as_written(tmp_path):
    written = record(steps=3, name="왜", loss=float("nan"), inner={"values": (1.5, float("inf"))})
    assert records.read(tmp_path) is None
    records.write(tmp_path, written)
    assert records.read(tmp_path) == written | {"loss": None, "inner": {"values": [1.5, None]}}
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_a_failed_write_keeps_the_old_record(tmp_path):
    records.write(tmp_path, record(steps=1))
    with pytest.raises(TypeError):
        records.write(tmp_path, record(steps=object()))
    assert records.read(tmp_path)["steps"] == 1
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("text", ['{"id": 1,\n "config"', "[]", '{"id": "a"}', '{"config": {}}', ""])
def test_a_broken_record_is_reported_with_its_place(tmp_path, text):
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(ValueError, match=r"result\.json:\d+ is not a record: "):
        records.read(tmp_path)


def test_a_damaged_record_is_an_error_and_never_other_numbers(tmp_path):
    written = record(exact=1 / 3)
    for seed in range(3):
        records.write(tmp_path, written)
        for damage in damages(tmp_path / "result.json", 100, seed):
            damage(tmp_path / "result.json")
            try:
                assert records.read(tmp_path) in (written, None)
            except UserError as error:
                assert "result.json" in str(error) and "\n" not in str(error)
            records.write(tmp_path, written)


def test_a_record_of_an_earlier_version_has_no_checksum(tmp_path):
    (tmp_path / "result.json").write_text(json.dumps(record()))
    assert records.read(tmp_path) == record()


@pytest.mark.parametrize("name", FIELDS)
def test_a_record_without_a_field_is_reported_with_its_place(tmp_path, name):
    """In the file of a run and in a committed line."""
    short = json.loads(json.dumps(record()))
    config, *_ = name.split("config.")[1:] or [None]
    values, key = (short["config"], config) if config else (short, name)
    if not config and "." in name:
        outer, _, key = name.partition(".")
        values = short[outer]
    del values[key]
    (tmp_path / "result.json").write_text(json.dumps(short))
    with pytest.raises(UserError, match=rf"result\.json:1 is not a record: it has no '{name}'"):
        records.read(tmp_path)
    (tmp_path / "some.jsonl").write_text(json.dumps(record()) + "\n" + json.dumps(short) + "\n")
    with pytest.raises(UserError, match=rf"some\.jsonl:2 is not a record: it has no '{name}'"):
        load_committed(tmp_path / "some.jsonl")


@pytest.mark.parametrize("part", SPLIT_FIELDS)
def test_a_split_without_a_part_is_reported(tmp_path, part):
    short = json.loads(json.dumps(record()))
    del short["splits"]["test"][part]
    (tmp_path / "result.json").write_text(json.dumps(short))
    with pytest.raises(UserError, match=rf"it has no 'splits\.test\.{part}'"):
        records.read(tmp_path)


def test_committed_records_of_earlier_versions_are_read():
    paths = list((Path(__file__).parent.parent / "experiments" / "results").glob("*.jsonl"))
    paths = [path for path in paths if ".trials" not in path.name]
    assert paths and all(load_committed(path) for path in paths)


@given(st.text(max_size=30))
def test_damaged_items_are_reported(text):
    whole = records.pack(np.arange(5))
    try:
        actual = records.unpack(text or whole[:-4])
    except UserError:
        return
    assert records.pack(actual)


def test_a_broken_line_is_reported_with_its_number(tmp_path):
    path = tmp_path / "some.jsonl"
    save_committed(path, [record()])
    path.write_text(path.read_text() + "\n{oops\n")
    with pytest.raises(ValueError, match=r"some\.jsonl:3 is not a record"):
        load_committed(path)
    path.write_bytes(b"\xff")
    with pytest.raises(ValueError, match=r"some\.jsonl is not UTF-8"):
        load_committed(path)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.0, -0.0, 1.0, 0.1, "a", ""]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(st.tuples(VALUES, st.sampled_from(["one data set", "another"])), max_size=5))
def test_shared_fields_stand_once_and_are_lossless(tmp_path_factory, values):
    path = tmp_path_factory.getbasetemp() / "shared.jsonl"
    written = [
        record(override(Config(), {"seed": seed}), more=value, data=data) for seed, (value, data) in enumerate(values)
    ]
    save_committed(path, written)
    actual = sorted(load_committed(path), key=lambda one: one["config"]["seed"])
    assert [to_json(one) for one in actual] == [to_json(one) for one in written]


def test_committed_records_are_small_and_have_the_items_of_the_metrics(tmp_path):
    counts = {name: {"n": records.pack(np.arange(1000)), "d": records.pack(np.ones(1000, int))} for name in ("a", "b")}
    split = {"metrics": {"a": 1.0, "b": 2.0}, "items": counts, "ceiling": None}
    configs = [override(Config(), {"seed": seed}) for seed in range(10)]
    written = [record(config, splits={"test": split}, data="d" * 16) for config in configs]
    save_committed(tmp_path / "all.jsonl", written)
    save_committed(tmp_path / "some.jsonl", written, {("test", "a"), ("dev", "b")})
    assert load_committed(tmp_path / "some.jsonl")[0]["splits"]["test"] == split | {"items": {"a": counts["a"]}}
    save_committed(tmp_path / "none.jsonl", written, set())
    assert load_committed(tmp_path / "none.jsonl")[0]["splits"]["test"] == split | {"items": {}}
    size = (tmp_path / "all.jsonl").stat().st_size
    assert size < 2 * len(to_json(written[0])) + 10 * 200


def test_committed_lines_do_not_depend_on_order(tmp_path):
    some = [record(override(Config(), {"seed": seed})) for seed in range(3)]
    save_committed(tmp_path / "a", some)
    save_committed(tmp_path / "b", [dict(reversed(r.items())) for r in reversed(some)])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert sorted(r["config"]["seed"] for r in load_committed(tmp_path / "a")) == [0, 1, 2]
    assert load_committed(tmp_path / "c") == []


def test_records_are_found_by_config(tmp_path):
    config = override(Config(), {"seed": 7})
    old = record(config)
    del old["config"]["model.dropout"]  # older than the field
    unknown = record() | {"config": {"no.such.field": 1}}
    assert records.find_record(config, tmp_path) is None
    assert records.find_record(config, tmp_path, [unknown, old]) == old
    records.write(tmp_path / "other_name", old | {"steps": 1})
    assert records.find_record(config, tmp_path, [old])["steps"] == 1
    records.write(tmp_path / digest(config), record(config, steps=2))
    assert records.find_record(config, tmp_path, [old])["steps"] == 2


def test_a_run_is_done_if_it_has_the_record_of_its_config(tmp_path):
    config = override(Config(), {"seed": 3})
    assert not records.is_done(tmp_path, config)
    records.write(tmp_path, record(config))
    assert records.is_done(tmp_path, config)
    assert not records.is_done(tmp_path, Config())


def test_replaced_runs_are_not_loaded(tmp_path):
    for name in ("one", f"one{records.REPLACED}20260101"):
        records.write(tmp_path / name, record())
    assert len(records.load_runs(tmp_path)) == 1


def test_the_environment_is_a_json_value():
    result = environment()
    assert json.loads(json.dumps(result)) == result
    assert result["threads"] >= 1 and result["device"] == "cpu" and result["versions"]["jax"]


def test_only_files_that_affect_numbers_make_a_checkout_dirty(tmp_path):
    def git(*words):
        subprocess.run(["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b", *words], check=True)

    assert git_state(tmp_path) == {"commit": None, "dirty": None}
    for name in ("attn_research/config.py", "experiments/one.py", "README.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("a = 1\n")
    git("init", "-q")
    git("add", "-A")
    git("commit", "-q", "-m", "all")
    assert len(git_state(tmp_path)["commit"]) == 40 and not git_state(tmp_path)["dirty"]
    (tmp_path / "experiments/results").mkdir()
    (tmp_path / "experiments/results/one.md").write_text("| 1 |\n")
    (tmp_path / "README.md").write_text("b\n")
    assert not git_state(tmp_path)["dirty"]
    (tmp_path / "experiments/one.py").write_text("a = 2\n")
    assert git_state(tmp_path)["dirty"]
    assert git_state(tmp_path / "experiments") == {"commit": None, "dirty": None}
