import os

import pytest
from damage import contents, damages

from attn_research import storage
from attn_research.storage import DamagedFileError


def fill(path):
    with storage.new_folder(path) as draft:
        (draft / "a").write_bytes(bytes(range(256)))
        (draft / "b.json").write_text('{"x": [1.5, "ü"]}')


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    storage.write(tmp_path / "in" / "file", "one")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(OSError):
            storage.write(tmp_path / "in" / "file", "two")
    assert contents(tmp_path / "in").keys() == {(tmp_path / "file").relative_to(tmp_path)}
    assert (tmp_path / "in" / "file").read_text() == "one"


def test_a_folder_is_whole_or_stays_as_it_was(tmp_path):
    fill(tmp_path / "folder")
    before = contents(tmp_path)
    with pytest.raises(KeyError), storage.new_folder(tmp_path / "folder") as draft:
        (draft / "a").write_text("half")
        raise KeyError
    assert contents(tmp_path) == before
    fill(tmp_path / "folder")
    storage.verify(tmp_path / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("name", ["a", "b.json", storage.SUMS])
def test_damage_is_detected_and_reported(tmp_path, name):
    fill(tmp_path / "folder")
    for damage in damages(tmp_path / "folder" / name, 100):
        damage(tmp_path / "folder" / name)
        with pytest.raises(DamagedFileError, match=r"is missing|is damaged"):
            storage.verify(tmp_path / "folder")
        fill(tmp_path / "folder")
        storage.verify(tmp_path / "folder")


@pytest.mark.parametrize("name", ["b.json", storage.SUMS])
def test_a_damaged_value_is_right_or_an_error(tmp_path, name):
    fill(tmp_path / "folder")
    for damage in damages(tmp_path / "folder" / name, 100):
        damage(tmp_path / "folder" / name)
        try:
            assert storage.read_json(tmp_path / "folder" / "b.json") == {"x": [1.5, "ü"]}
        except DamagedFileError as error:
            assert "b.json" in str(error)
            assert "\n" not in str(error)
        fill(tmp_path / "folder")


def test_a_file_without_a_checksum_is_read_unchecked(tmp_path):
    (tmp_path / "old.json").write_text("[1]")
    assert storage.read_json(tmp_path / "old.json") == [1]
    (tmp_path / "old.json").write_text("[1")
    with pytest.raises(DamagedFileError, match=r"old\.json is damaged"):
        storage.read_json(tmp_path / "old.json")
