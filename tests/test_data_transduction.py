import gzip

import pytest

from attn_research.data.task import default_segmentations, load
from attn_research.registry import Spec

FILES = {
    "train.tsv": "AB\tEY B IY\nAB\tAE B\nC\tS IY\n",
    "dev.tsv": "BA\tB AA\n",
    "test.tsv": "CAB\tK AE B\nBB\tB\nCAB\tS AE B\n",
}


@pytest.fixture
def folder(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    yield tmp_path
    load.cache_clear()


def read(folder):
    return load(Spec(f'transduction(path="{folder}")'))


def test_every_line_of_train_is_an_item(folder):
    assert read(folder)["train"].to_dict() == {
        "source": [["A", "B"], ["A", "B"], ["C"]],
        "target": [["EY", "B", "IY"], ["AE", "B"], ["S", "IY"]],
        "references": [[["EY", "B", "IY"]], [["AE", "B"]], [["S", "IY"]]],
        "where": ["train.tsv:1", "train.tsv:2", "train.tsv:3"],
    }


def test_all_lines_of_a_test_word_are_its_references(folder):
    assert read(folder)["test"].to_dict() == {
        "source": [["C", "A", "B"], ["B", "B"]],
        "target": [["K", "AE", "B"], ["B"]],
        "references": [[["K", "AE", "B"], ["S", "AE", "B"]], [["B"]]],
        "where": ["test.tsv:1", "test.tsv:2"],
    }


def test_compressed_files_and_crlf_line_ends_read_alike(folder):
    plain = read(folder)["test"].remove_columns("where").to_dict()
    load.cache_clear()
    (folder / "test.tsv").unlink()
    text = "\ufeff" + FILES["test.tsv"].replace("\n", "\r\n")
    (folder / "test.tsv.gz").write_bytes(gzip.compress(text.encode()))
    compressed = read(folder)["test"]
    assert compressed.remove_columns("where").to_dict() == plain
    assert compressed["where"][:] == ["test.tsv.gz:1", "test.tsv.gz:2"]


def test_a_relative_path_is_resolved_here_and_in_the_data_folder(folder, monkeypatch, tmp_path_factory):
    monkeypatch.chdir(folder.parent)
    here = read(folder.name)
    load.cache_clear()
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    monkeypatch.setenv("ATTN_RESEARCH_DATA", str(folder.parent))
    assert read(folder.name)["test"].to_dict() == here["test"].to_dict()


def rejects(folder, message):
    with pytest.raises(ValueError, match=message) as error:
        read(folder)
    assert "\n" not in str(error.value)
    assert "\t" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"AB\tEY\nCD\n", r"dev.tsv:2 has 1 columns, but must have 2: word<TAB>segments"),
        (b"AB\tEY\tB\n", r"dev.tsv:1 has 3 columns"),
        (b"AB\tEY\n\nC\tD\n", r"dev.tsv:2 has 1 columns"),
        (b"AB\t \n", r"dev.tsv:1 has an empty column"),
        (b"\tEY\n", r"dev.tsv:1 has an empty column"),
        (b"AB\tEY\n\xe9\tEY\n", r"dev.tsv:2 is not UTF-8: .* at byte 0"),
        (b"", r"dev.tsv is empty"),
    ],
)
def test_an_invalid_line_is_reported_with_its_number(folder, text, message):
    (folder / "dev.tsv").write_bytes(text)
    rejects(folder, message)


def test_a_missing_file_is_reported_with_existing_files(folder):
    (folder / "dev.tsv").rename(folder / "dev.txt")
    rejects(folder, r"no dev.tsv or dev.tsv.gz in .*; known: dev.txt, test.tsv, train.tsv; did you mean dev.txt")


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-9], lambda data: b"plain", lambda data: data[:14] + b"\xff" * 9]
)
def test_a_damaged_archive_is_reported(folder, damage):
    (folder / "dev.tsv").unlink()
    (folder / "dev.tsv.gz").write_bytes(damage(gzip.compress(FILES["dev.tsv"].encode() * 9)))
    rejects(folder, r"cannot read .*dev.tsv.gz: ")


def test_a_missing_folder_is_reported_with_similar_folders(folder, monkeypatch):
    monkeypatch.delenv("ATTN_RESEARCH_DATA", raising=False)
    monkeypatch.chdir(folder.parent)
    rejects(folder.name + "s", rf"no folder .* \(\$ATTN_RESEARCH_DATA is not set\); .*did you mean {folder.name}")
    monkeypatch.setenv("ATTN_RESEARCH_DATA", str(folder))
    rejects("cmudict", rf"no folder 'cmudict' in {folder.parent} and {folder}; known: ")
    rejects("no/such/place", r"no folder 'no/such/place' in .*; known: none")


def test_the_path_is_required():
    with pytest.raises(ValueError, match="needs the folder of its files, as in transduction"):
        load(Spec("transduction"))


def test_a_prefix_and_a_name_of_train_choose_the_files(folder):
    names = {"train.tsv": "fre_train-small.tsv", "dev.tsv": "fre_dev.tsv", "test.tsv": "fre_test.tsv"}
    plain = {split: rows["source"][:] for split, rows in read(folder).items()}
    for name, other in names.items():
        (folder / name).rename(folder / other)
    chosen = load(Spec(f'transduction(path="{folder}", prefix="fre_", train="train-small")'))
    assert {split: rows["source"][:] for split, rows in chosen.items()} == plain
    with pytest.raises(ValueError, match=r"no hun_train.tsv"):
        load(Spec(f'transduction(path="{folder}", prefix="hun_")'))


INFLECTED = {
    "train.tsv": "sing\tsang\tV;PST\nsing\tsung\tV;PST\n",
    "dev.tsv": "big apple\tbig apples\tN;PL\n",
    "test.tsv": "a<b\te\u0301\tN; PL\nhang\thung\tV;PST\nhang\thanged\tV;PST\n",
}


def read_inflected(folder, **texts):
    for name, text in (INFLECTED | texts).items():
        (folder / name).write_text(text)
    return load(Spec(f'inflection(path="{folder}")'))


def test_the_source_of_an_inflection_is_lemma_and_tags_and_the_target_the_form(folder):
    splits = read_inflected(folder)
    assert splits["train"]["source"][:] == [[*"sing", "<V>", "<PST>"]] * 2
    assert splits["train"]["target"][:] == [[*"sang"], [*"sung"]]
    assert splits["dev"][0]["source"] == [*"big apple", "<N>", "<PL>"]
    assert splits["dev"][0]["target"] == [*"big apples"]
    assert splits["test"]["source"][:] == [[*"a<b", "<N>", "<PL>"], [*"hang", "<V>", "<PST>"]]
    assert splits["test"]["references"][:] == [[["\u00e9"]], [[*"hung"], [*"hanged"]]]


def test_translate_splits_a_lemma_with_tags_as_the_task_does(folder):
    for split in read_inflected(folder).values():
        source, target = default_segmentations(Spec(f'inflection(path="{folder}")'), "abc")
        for item in split:
            line = source.join(item["source"])
            assert source.split(line) == item["source"]
            assert len(source.texts(line)) == len(item["source"])
            assert target.split(target.join(item["target"])) == item["target"]
    assert source.split("big apple\tN;PL") == [*"big apple", "<N>", "<PL>"]
    assert source.split(" sing ") == [*"sing"]


def test_an_inflection_needs_three_columns(folder):
    with pytest.raises(ValueError, match=r"dev.tsv:1 has 2 columns, but must have 3: lemma<TAB>form<TAB>tags"):
        read_inflected(folder, **{"dev.tsv": "sing\tsang\n"})
