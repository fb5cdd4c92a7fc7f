import pyarrow
import pytest

from attn_research.data.task import check_lengths, load, tasks
from attn_research.registry import Spec

ITEMS = {"source": [["a"]], "target": [["b"]]}
HEAD = """
from datasets import Dataset, DatasetDict

def split(**columns):
    return Dataset.from_dict({"source": [["a"]], "target": [["b"]]} | columns)

def mine(size: int = 1):
"""


@pytest.fixture
def mine(tmp_path):
    def write(body):
        path = tmp_path / "my_tasks.py"
        path.write_text(HEAD + f"    {body}\n")
        return Spec(f"{path}:mine")

    return write


def test_all_tasks_are_registered():
    probes = {"recall", "two_hop", "select", "window", "nth"}
    assert set(tasks.functions) - probes == {
        "copy",
        "dates",
        "inflection",
        "repeat",
        "repeated",
        "reverse",
        "sort",
        "tokenized",
        "transduction",
        "translation",
    }


@pytest.mark.parametrize(
    "name", ["copy", "dates", "inflection", "repeat", "repeated", "reverse", "transduction", "translation"]
)
def test_every_option_has_a_default_and_a_docstring(name):
    function = tasks.functions[name]
    assert tasks.bind(Spec(name)).hyper.keys() == {*function.__annotations__} - {"return"}
    assert function.__doc__


def test_a_task_is_built_once_per_process():
    spec = Spec("copy(longest=3, longest_test=4, train=20, test=5)")
    assert load(spec) is load(Spec(str(spec)))


def test_a_users_task_loads(mine):
    splits = load(mine("return DatasetDict(train=split(), dev=split(), test=split(), test_hard=split())"))
    assert splits["test_hard"][0] == {"source": ["a"], "target": ["b"]}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return {}", "returns a dict, but must return a datasets.DatasetDict"),
        ("return DatasetDict(train=split(), test=split())", "has no split 'dev'; known: test, train"),
        ("return DatasetDict(train=split(), dev=split(source=[], target=[]), test=split())", "split 'dev' .* is empty"),
        ("return DatasetDict(train=split().remove_columns('source'), dev=split(), test=split())", "no column 'source'"),
        ("return DatasetDict(train=split(target=['b']), dev=split(), test=split())", "must be lists of strings"),
        (
            "return DatasetDict(train=split(source=[['a'], []], target=[['b']] * 2), dev=split(), test=split())",
            "split 'train' .* item 1 has an empty source",
        ),
        ("return DatasetDict(train=split(attributes=[3]), dev=split(), test=split())", "must be a dict for each item"),
        ("return DatasetDict(train=split(attributes=[{'length': 3}]), dev=split(), test=split())", "is built in"),
        ("return DatasetDict(train=split(attributes=[{'x': -1}]), dev=split(), test=split())", "attribute x -1, but"),
        ("return DatasetDict(train=split(attributes=[{'x': 0.5}]), dev=split(), test=split())", "attribute x 0.5, but"),
    ],
)
def test_an_invalid_result_of_a_task_is_reported(mine, body, message):
    with pytest.raises(ValueError, match=message) as error:
        load(mine(body))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("date", "unknown task 'date'; known: .*; did you mean dates"),
        ("dates(local='hidden')", "no hyperparameter 'local'; .*; did you mean locale"),
        ("dates(locale='hiden')", "is 'hiden'; known: hidden, shown; did you mean hidden"),
        ("dates(train=2.5)", "must be of type int"),
    ],
)
def test_invalid_specs_are_reported_with_known_names(text, message):
    with pytest.raises(ValueError, match=message):
        load(Spec(text))


def test_a_source_over_the_length_limit_is_reported():
    items = {"source": [["a"] * 3, ["a"] * 5], "target": [["b"]] * 2}
    splits = {"train": pyarrow.table(ITEMS), "dev": pyarrow.table(items)}
    check_lengths(splits, 5, "location(max_length=5)")
    check_lengths(splits, None, "dot")
    with pytest.raises(ValueError, match=r"^item 1 of split 'dev': .* 5 symbols, but location\(.*\) allows at most 4$"):
        check_lengths(splits, 4, "location(max_length=4)")


def test_a_source_over_the_length_limit_is_reported_with_file_and_line():
    splits = {"test": pyarrow.table({"source": [["a"] * 3], "target": [["b"]], "where": ["test.tsv.gz:7"]})}
    with pytest.raises(ValueError, match=r"^test.tsv.gz:7: the source has 3 symbols"):
        check_lengths(splits, 2, "location(max_length=2)")
