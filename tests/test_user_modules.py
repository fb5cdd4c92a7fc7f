"""Users' files: the files that belong to them, and files of one name in two folders."""

import os
import sys

import pytest

from attn_research import user_modules
from attn_research.registry import Spec
from attn_research.user_modules import drop_edited, load, read


def write(folder, **texts):
    for name, text in texts.items():
        path = folder / f"{name.replace('_in_', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Imports no file from the working directory and no file twice."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setattr(user_modules, "_modules", {})


def test_a_file_includes_its_imports_from_the_same_folder(tmp_path):
    write(
        tmp_path,
        mine="import helper\nimport jax, json, attn_research.config\ndef f(): return helper.deep.VALUE\n",
        helper="from parts import deep\n",
        parts_in_deep="VALUE = 3\n",
        other="VALUE = 4\n",
    )
    assert list(read(str(tmp_path / "mine.py")).hashes()) == ["helper.py", "mine.py", "parts/deep.py"]
    assert load(str(tmp_path / "mine.py")).f() == 3


def test_imports_inside_functions_and_by_name_are_found(tmp_path):
    write(
        tmp_path,
        mine="import importlib\ndef f():\n    import one\n    importlib.import_module('two')\n",
        one="",
        two="",
    )
    assert list(read(str(tmp_path / "mine.py")).hashes()) == ["mine.py", "one.py", "two.py"]


def test_a_file_in_a_package_includes_the_package(tmp_path):
    package = write(tmp_path / "pkg", mine="from . import helper\nfrom .deep.er import VALUE\n", helper="A = 1\n")
    write(package, deep_in_er="from ..helper import A\nVALUE = A + 1\n", deep_in___init__="", other="")
    (package / "__init__.py").write_text("KEPT = 1\n")
    actual = read(str(package / "mine.py"))
    assert {"pkg/__init__.py", "pkg/deep/er.py", "pkg/helper.py", "pkg/mine.py"} <= set(actual.hashes())
    assert "pkg/other.py" not in actual.hashes()
    assert load(str(package / "mine.py")).VALUE == 2
    assert "pkg" not in sys.modules


def test_a_module_is_found_by_its_dotted_name(tmp_path, monkeypatch):
    write(tmp_path / "dotted_pkg", __init__="", mine="import dotted_pkg.helper as h\n", helper="A = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    actual = read("dotted_pkg.mine")
    assert list(actual.hashes()) == ["dotted_pkg/__init__.py", "dotted_pkg/helper.py", "dotted_pkg/mine.py"]
    assert load("dotted_pkg.mine").h.A == 1


def test_the_hash_does_not_depend_on_the_folder(tmp_path):
    texts = {"mine": "import helper\n", "helper": "A = 1\n"}
    one, two = (read(str(write(tmp_path / name, **texts) / "mine.py")) for name in ("one", "two"))
    assert one.hashes() == two.hashes()
    write(tmp_path / "two", helper="A = 2\n")
    assert one.hashes() != read(str(tmp_path / "two" / "mine.py")).hashes()


def test_files_of_one_name_in_two_folders_are_distinct(tmp_path):
    for value, name in enumerate(("one", "two")):
        write(tmp_path / name, mine="import helper\ndef f(): return helper.A\n", helper=f"A = {value}\n")
    assert [load(str(tmp_path / name / "mine.py")).f() for name in ("one", "two")] == [0, 1]
    assert "helper" not in sys.modules


def test_a_file_named_like_a_library_replaces_nothing(tmp_path):
    write(tmp_path, copy="import copy\ndef f(): return copy.copy([1])\n", random="")
    assert load(str(tmp_path / "copy.py")).f() == [1]
    assert list(read(str(tmp_path / "copy.py")).hashes()) == ["copy.py"]


def test_an_edited_file_is_never_run_from_stale_bytecode(tmp_path):
    """Python's bytecode cache compares only size and modification time in seconds."""
    mine = str(write(tmp_path, mine="import helper\n", helper="A = 1\n") / "mine.py")
    assert load(mine).helper.A == 1
    assert not drop_edited()
    before = os.stat(tmp_path / "helper.py")
    write(tmp_path, helper="A = 2\n")
    os.utime(tmp_path / "helper.py", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert load(mine).helper.A == 1, "what a process has imported, it keeps"
    assert drop_edited()
    assert load(mine).helper.A == 2


def test_a_syntax_error_is_reported_on_import(tmp_path):
    write(tmp_path, mine="def f(:\n")
    assert list(read(str(tmp_path / "mine.py")).hashes()) == ["mine.py"]
    with pytest.raises(ValueError, match=r"cannot import .*SyntaxError"):
        load(str(tmp_path / "mine.py"))


def test_a_null_byte_is_reported_for_the_file_not_for_pythons_importer(tmp_path, monkeypatch):
    (tmp_path / "nulls.py").write_bytes(b"x = 1\0\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"cannot import 'nulls\.py': \w+: .*null bytes") as caught:
        load("nulls.py")
    assert "frozen" not in str(caught.value)


def test_two_files_may_register_functions_of_one_name(tmp_path):
    from attn_research.attention.scores import scores

    text = "from attn_research.attention.scores import scores\n@scores.register(remembers={})\ndef dot(): ...\n"
    for name, remembers in (("one", True), ("two", False)):
        write(tmp_path / name, mine=text.format(remembers))
        bound = scores.bind(Spec(f"{tmp_path / name / 'mine.py'}:dot"))
        assert bound.traits.remembers is remembers
    assert scores.bind(Spec("dot")).function.__module__ == "attn_research.attention.scores"
