import itertools

import pytest

from attn_research.data.probes import AFTER, BEFORE, MARK, QUERY_MARK
from attn_research.data.task import load
from attn_research.registry import Spec

NAMES = ["recall", "two_hop", "two_hop(middle=False)", "select", "window", "nth"]
SIZES = {"recall": (6, 12), "two_hop": (6, 12), "select": (15, 30), "window": (15, 30), "nth": (10, 20)}


def splits(name, options="train=100, test=30"):
    inside = Spec(name).hyper
    more = "".join(f", {key}={value}" for key, value in inside.items())
    return load(Spec(f"{Spec(name).name}({options}{more})"))


def items(name, options="train=100, test=30"):
    for split in splits(name, options).values():
        yield from split


def split_question(source):
    """Returns the symbols before the query mark, and the queries."""
    query_mark = source.index(QUERY_MARK)
    return source[:query_mark], source[query_mark + 1 :]


@pytest.mark.parametrize("name", NAMES)
def test_every_target_symbol_copies_its_aligned_source_symbol(name):
    for item in items(name):
        assert [j for _, j in item["alignment"]] == list(range(len(item["target"])))
        assert [item["source"][i] for i, _ in item["alignment"]] == item["target"]


def test_recall_answers_with_the_values_of_the_keys():
    for item in items("recall", "queries=3, train=100, test=30"):
        pairs, queries = split_question(item["source"])
        values = dict(zip(pairs[::2], pairs[1::2], strict=True))
        assert len(values) == len(pairs) / 2 and len(set(queries)) == len(queries) == min(3, len(values))
        assert item["target"] == [values[query] for query in queries]


@pytest.mark.parametrize("middle", [True, False])
def test_two_hop_follows_the_pairs_twice(middle):
    for item in items("two_hop", f"middle={middle}, train=100, test=30"):
        pairs, (first,) = split_question(item["source"])
        values = dict(zip(pairs[::2], pairs[1::2], strict=True))
        assert sorted(values) == sorted(values.values())
        hops = [values[first], values[values[first]]]
        assert item["target"] == (hops if middle else hops[1:]) and first not in hops


def test_select_copies_marked_symbols():
    for item in items("select"):
        source = item["source"]
        assert item["target"] == [after for mark, after in itertools.pairwise(source) if mark == MARK]
        assert item["target"]


@pytest.mark.parametrize("distance", [1, 4])
def test_window_answers_have_the_given_distance_from_their_cues(distance):
    for item in items("window", f"distance={distance}, train=100, test=30"):
        position = {cue: item["source"].index(cue) for cue in (BEFORE, AFTER)}
        before = [s for s in item["source"][: position[BEFORE]] if s != AFTER]
        behind = [s for s in item["source"][position[AFTER] :] if s not in (BEFORE, AFTER)]
        assert item["target"] == [before[-distance], behind[distance - 1]]


def test_nth_counts_from_the_start_and_asks_for_positions_known_from_training():
    data = splits("nth")
    for split in data.values():
        for item in split:
            symbols, queries = split_question(item["source"])
            assert item["target"] == [symbols[int(query[1:])] for query in queries]
    known = {query for item in data["train"] for query in split_question(item["source"])[1]}
    assert {query for item in data["test_long"] for query in split_question(item["source"])[1]} <= known


@pytest.mark.parametrize("name", NAMES)
def test_the_long_split_is_larger_than_training(name):
    data, (longest, longest_test) = splits(name), SIZES[Spec(name).name]
    sizes = {split: [_size(name, item) for item in rows] for split, rows in data.items()}
    assert max(sizes["train"]) == longest and min(sizes["test_long"]) > longest
    assert max(sizes["test_long"]) <= longest_test


def _size(name, item):
    match Spec(name).name:
        case "recall" | "two_hop":
            return len(split_question(item["source"])[0]) // 2
        case "nth":
            return len(split_question(item["source"])[0])
    return len([symbol for symbol in item["source"] if symbol not in (MARK, BEFORE, AFTER)])


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("recall(queries=0)", "queries of task 'recall' is 0, but must be at least 1"),
        ("recall(symbols=5)", "symbols of a synthetic task is 5, but must be at least 12"),
        ("two_hop(longest=2)", "longest of a synthetic task is 2, but must be at least 3"),
        ("window(distance=16)", "longest of a synthetic task is 15, but must be at least 16"),
        ("window(distance=0)", "distance of task 'window' is 0"),
    ],
)
def test_invalid_options_are_rejected(spec, message):
    with pytest.raises(ValueError, match=message):
        load(Spec(spec))
