import os
import subprocess
import sys

import pyarrow
import pytest
from damage import damages

from attn_research.data import table_cache, task
from attn_research.registry import Spec


def draw_tables(calls):
    """Returns a function that draws tables and counts its calls in `calls`."""

    def draw():
        calls.append(1)
        return {"train": pyarrow.table({"source": [["a", "b"], ["c"]]}), "dev": pyarrow.table({"source": [["d"]]})}

    return draw


def test_cached_tables_are_drawn_once(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTN_RESEARCH_CACHE", str(tmp_path))
    calls = []
    first, second = (table_cache.cached_tables("letters", draw_tables(calls)) for _ in range(2))
    assert len(calls) == 1
    assert list(first) == list(second) == ["train", "dev"]
    assert first == second == draw_tables([])()
    assert [path.name for path in (tmp_path / "data").iterdir()] == [table_cache._key("letters")], (
        "no draft stays behind"
    )
    table_cache.cached_tables("other letters", draw_tables(calls))
    assert len(calls) == 2


def test_changed_code_draws_again(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTN_RESEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(table_cache, "CODE_DIRECTORY", tmp_path)
    calls = []
    for text in ("x = 1", "x = 2"):
        (tmp_path / "code.py").write_text(text)
        table_cache.cached_tables("letters", draw_tables(calls))
    assert len(calls) == 2


def test_a_damaged_entry_is_drawn_again_and_replaced(tmp_path, monkeypatch):
    """No damage to any file of an entry leads to other data."""
    monkeypatch.setenv("ATTN_RESEARCH_CACHE", str(tmp_path))
    calls, right = [], draw_tables([])()
    table_cache.cached_tables("letters", draw_tables(calls))
    for file in [path for path in (tmp_path / "data").rglob("*") if path.is_file()]:
        for number, damage in enumerate(damages(file, 50), len(calls) + 1):
            damage(file)
            assert table_cache.cached_tables("letters", draw_tables(calls)) == right
            assert len(calls) == number
            assert table_cache.cached_tables("letters", draw_tables(calls)) == right
            assert len(calls) == number, "the entry is whole again"
    assert len(list((tmp_path / "data").iterdir())) == 1


def test_an_unwritable_cache_is_ignored(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ATTN_RESEARCH_CACHE", str(tmp_path / "file"))
    assert len(table_cache.cached_tables("letters", draw_tables([]))["train"]) == 2


def test_a_cached_task_equals_the_drawn_one(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTN_RESEARCH_CACHE", str(tmp_path))
    spec = Spec("dates(train=50, dev=5, test=5)")
    drawn, read = (task.tables(spec) for _ in range(2))
    assert len(list((tmp_path / "data").iterdir())) == 1
    assert drawn == read
    columns = {name: split.to_dict() for name, split in task.load(spec).items()}
    assert {name: table.to_pydict() for name, table in read.items()} == columns


def test_tasks_of_one_name_in_two_files_are_cached_apart(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTN_RESEARCH_CACHE", str(tmp_path / "cache"))
    for symbol in ("x", "y"):
        file = tmp_path / f"{symbol}_tasks.py"
        columns = {"source": [[symbol]], "target": [["a"]]}
        file.write_text(
            "from attn_research.data.task import from_columns\n"
            "def copy():\n"
            f"    return from_columns(dict.fromkeys(('train', 'dev', 'test'), {columns}))\n"
            "copy.traits = {'generated': True}\n"
        )
        actual = task.tables(Spec(f"{file}:copy"))
        assert actual["train"]["source"].to_pylist() == [[symbol]]


@pytest.mark.slow
def test_cached_data_are_fingerprinted_without_pandas(tmp_path):
    program = """
import sys
from attn_research.data.fingerprint import fingerprint
from attn_research.registry import Spec
fingerprint(Spec("reverse(symbols=3, longest=3, longest_test=4, train=100, test=20)"))
print("pandas" in sys.modules)
"""
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{program}"]
    environment = os.environ | {"ATTN_RESEARCH_CACHE": str(tmp_path)}
    outputs = [subprocess.run(command, env=environment, capture_output=True, text=True, check=True) for _ in range(2)]
    assert [output.stdout for output in outputs] == ["True\n", "False\n"]  # drawing needs `datasets`, reading does not
