import pytest

from attn_research.data.task import load, tasks
from attn_research.registry import Spec

COPY = "reverse(symbols=5, longest=4, longest_test=5, train=60, test=20)"


def make(options=""):
    return load(Spec(f"repeated(task='{COPY}'{options})"))


def test_every_split_of_the_task_stays_and_one_is_added():
    splits, inner = make(), load(Spec(COPY))
    assert set(splits) == {*inner, "test_repeated"}
    assert all(splits[name].to_dict() == inner[name].to_dict() for name in inner)


def test_the_same_items_are_repeated_every_number_of_times():
    test, repeated = make()["test"], make(", times=3, items=4")["test_repeated"]
    assert [item["attributes"]["times"] for item in repeated] == [1] * 4 + [2] * 4 + [3] * 4
    for number in (1, 2, 3):
        for item, original in zip(repeated.select(range(4 * number - 4, 4 * number)), test, strict=False):
            assert item["source"] == original["source"] * number
            assert item["target"] == original["target"] * number


def test_links_are_moved_with_their_repetition():
    for item in make()["test_repeated"]:
        assert sorted(j for _, j in item["alignment"]) == list(range(len(item["target"])))
        assert all(item["source"][i] == item["target"][j] for i, j in item["alignment"])


def test_all_references_are_repeated(tmp_path):
    for name in ("train", "dev", "test"):
        (tmp_path / f"{name}.tsv").write_text("ab\tA B\nab\tA P\n")
    spec = Spec(f"repeated(task='transduction(path=\"{tmp_path}\")', times=2)")
    assert load(spec)["test_repeated"]["references"][:] == [
        [["A", "B"], ["A", "P"]],
        [["A", "B", "A", "B"], ["A", "P", "A", "P"]],
    ]
    assert tasks.bind(spec).traits.symbols == "letters"
    assert not tasks.bind(spec).traits.generated


def test_a_missing_file_of_the_task_is_reported_before_the_run(tmp_path):
    traits = tasks.bind(Spec(f"repeated(task='transduction(path=\"{tmp_path}\")')")).traits
    with pytest.raises(ValueError, match=r"no train.tsv"):
        traits.check_files()


def test_a_task_that_learns_its_segmentation_is_refused():
    with pytest.raises(ValueError, match="repeated cannot repeat the lines of translation"):
        load(Spec("repeated(task='translation')"))
