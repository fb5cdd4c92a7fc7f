import pytest

from attn_research.data.task import load
from attn_research.registry import Spec

NAMES = ["copy", "reverse", "sort", "repeat"]
OPTIONS = "symbols=5, longest=6, longest_test=9, train=200, test=50"


def make_splits(name, options=OPTIONS):
    return load(Spec(f"{name}({options})"))


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("copy", lambda source: source),
        ("reverse", lambda source: source[::-1]),
        ("sort", lambda source: sorted(source, key=int)),
        ("repeat", lambda source: [symbol for symbol in source for _ in range(2)]),
    ],
)
def test_the_target_follows_the_name_of_the_task(name, right):
    for split in make_splits(name, OPTIONS.replace("symbols=5", "symbols=15")).values():
        for item in split:
            assert item["target"] == right(item["source"])


@pytest.mark.parametrize("name", NAMES)
def test_every_target_symbol_is_aligned_with_its_source_symbol(name):
    for split in make_splits(name).values():
        for item in split:
            assert [j for _, j in item["alignment"]] == list(range(len(item["target"])))
            assert all(item["source"][i] == item["target"][j] for i, j in item["alignment"])


def test_every_source_symbol_is_aligned_equally_often():
    for name, times in [("copy", 1), ("reverse", 1), ("sort", 1), ("repeat", 2)]:
        for item in make_splits(name)["test"]:
            assert sorted(i for i, _ in item["alignment"]) == sorted([*range(len(item["source"]))] * times)


def test_sorting_is_stable():
    for item in make_splits("sort")["test_long"]:
        for (i, j), (after, _) in zip(item["alignment"], item["alignment"][1:], strict=False):
            assert i < after or item["source"][i] != item["source"][after], (item, j)


@pytest.mark.parametrize("options", [OPTIONS, "symbols=2, longest=4, longest_test=5, train=200, test=50"])
def test_no_source_is_in_two_splits(options):
    splits = make_splits("copy", options)
    sources = {name: {tuple(source) for source in split["source"]} for name, split in splits.items()}
    assert not sources["train"] & sources["dev"]
    assert not sources["train"] & sources["test"]
    assert not sources["dev"] & sources["test"]


def test_the_long_split_is_longer_than_training():
    splits = make_splits("copy")
    assert {len(source) for name in ("train", "dev", "test") for source in splits[name]["source"]} == {*range(1, 7)}
    assert {len(source) for source in splits["test_long"]["source"]} == {7, 8, 9}
    assert {name: len(split) for name, split in splits.items()} == {
        "train": 200,
        "dev": 50,
        "test": 50,
        "test_long": 50,
    }


def test_only_the_seed_determines_the_sources():
    again, other = make_splits("reverse"), make_splits("copy", OPTIONS + ", seed=1")
    for split in ("train", "dev", "test", "test_long"):
        assert make_splits("copy")[split]["source"][:] == again[split]["source"][:]
        assert make_splits("copy")[split]["source"][:] != other[split]["source"][:]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("symbols=0", "symbols of task 'copy' is 0, but must be at least 1"),
        ("longest=0", "longest of task 'copy' is 0"),
        ("longest=8, longest_test=8", "longest_test of a synthetic task is 8, but must be at least 9"),
        ("train=0", "train of task 'copy' is 0"),
        ("test=-1", "test of task 'copy' is -1"),
        ("symbols=1, longest=1", "too few exist with sizes up to 1; raise symbols or longest"),
    ],
)
def test_invalid_options_are_rejected(options, message):
    with pytest.raises(ValueError, match=message):
        make_splits("copy", options)


def test_repeating_no_times_is_rejected():
    with pytest.raises(ValueError, match="times of task 'repeat' is 0"):
        make_splits("repeat", "times=0")
