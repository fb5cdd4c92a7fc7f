import json
import logging
import subprocess
import sys

import datasets
import pytest
from toy_corpus import corpus, write_json, write_text

from attn_research.data.segmentation import SPACE, LearnedSegmentation
from attn_research.data.task import load
from attn_research.data.vocab import UNKNOWN
from attn_research.registry import Spec

CORPUS = corpus()


@pytest.fixture
def folder(tmp_path):
    write_text(tmp_path, CORPUS)
    yield tmp_path
    load.cache_clear()


def read(path, **options):
    load.cache_clear()
    arguments = "".join(f", {name}={value!r}" for name, value in options.items())
    return load(Spec(f"translation(path={str(path)!r}{arguments})"))


def edit(file, number, line):
    """Replaces a line of a file, or removes it if `line` is None."""
    lines = file.read_text(encoding="utf-8").splitlines()
    lines[number - 1 : number] = [] if line is None else [line]
    file.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def test_every_item_has_symbols_raw_lines_and_a_place(folder):
    splits = read(folder, units="words")
    assert set(splits) == {"train", "dev", "test"}
    de, en = CORPUS["test"][0]
    first = splits["test"][0]
    assert first["raw"] == [en] and first["where"] == "test.de:1"
    assert first["source"] == [*(SPACE + word for word in de[:-1].split()), "."]
    assert [len(split) for split in splits.values()] == [len(pairs) for pairs in CORPUS.values()]


def test_compressed_files_and_other_names_read_alike(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    renamed = {"train": CORPUS["train"], "val": CORPUS["dev"], "test_2016": CORPUS["test"], "test_coco": CORPUS["dev"]}
    write_text(other, renamed, compress=True)
    (other / "test_2018.de").write_text("Nur deutsch.\n")  # a file of one language is no split
    plain, compressed = read(folder), read(other, test="test_2016")
    for split in plain:
        assert plain[split].remove_columns("where").to_dict() == compressed[split].remove_columns("where").to_dict()
    assert set(compressed) == {"train", "dev", "test", "test_coco"}
    assert compressed["test_coco"]["raw"][:] == compressed["dev"]["raw"][:]


def test_languages_can_be_swapped(folder):
    forth, back = read(folder), read(folder, source="en", target="de")
    assert forth["dev"]["source"][:] == back["dev"]["target"][:]
    assert back["dev"]["raw"][0] == [CORPUS["dev"][0][0]]


def test_a_relative_path_is_resolved_in_the_data_folder(folder, monkeypatch, tmp_path_factory):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    monkeypatch.setenv("ATTN_RESEARCH_DATA", str(folder.parent))
    assert len(read(folder.name)["dev"]) == len(CORPUS["dev"])


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_a_data_set_of_the_hub_gives_the_same_splits(folder, tmp_path_factory, monkeypatch, form):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
    hub = tmp_path_factory.mktemp("hub")
    write_json(hub, {"validation" if name == "dev" else name: pairs for name, pairs in CORPUS.items()})
    if form == "parquet":
        for path in hub.glob("*.jsonl"):
            datasets.Dataset.from_json(str(path)).to_parquet(path.with_suffix(".parquet"))
            path.unlink()
    plain, actual = read(folder), read(f"hub:{hub}")
    for split in plain:
        assert actual[split].remove_columns("where").to_dict() == plain[split].remove_columns("where").to_dict()
    assert actual["dev"]["where"][0] == "validation:1"
    rejects(f"hub:{hub}", "split 'train' of data set .* has no column 'fr'; known: de, en", source="fr")
    rejects(f"hub:{hub}", "data set .* has no split 'flickr'; known: test, train, validation", test="flickr")


def write_configurations(folder, *names):
    """Writes a data set as on the hub, with several configurations and a column `translation`."""
    lines = ["---", "configs:"]
    for name in names:
        (folder / name).mkdir()
        write_json(folder / name, {"validation" if split == "dev" else split: CORPUS[split] for split in CORPUS})
        lines += [f"- config_name: {name}", "  data_files:"]
        for path in sorted((folder / name).glob("*.jsonl")):
            texts = [json.dumps({"translation": json.loads(line)}) for line in path.read_text("utf-8").splitlines()]
            path.write_text("\n".join(texts), "utf-8")
            lines += [f"  - split: {path.stem}", f"    path: {name}/{path.name}"]
    (folder / "README.md").write_text("\n".join([*lines, "---", ""]))


def test_a_translation_column_with_a_configuration_gives_the_same_splits(folder, tmp_path_factory, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
    hub = tmp_path_factory.mktemp("hub")
    write_configurations(hub, "de-en", "en-de")
    plain, actual = read(folder), read(f"hub:{hub}", configuration="de-en")
    for split in plain:
        assert actual[split].remove_columns("where").to_dict() == plain[split].remove_columns("where").to_dict()
    rejects(f"hub:{hub}", "needs configuration=... in the task, since it has several: de-en, en-de$")
    rejects(f"hub:{hub}", "no configuration 'de-fr'; known: de-en, en-de; did you mean", configuration="de-fr")
    rejects(f"hub:{hub}", "split 'train' of .* has no column 'fr'; known: de, en", source="fr", configuration="en-de")
    rejects(folder, "configuration is 'de-en', but only a data set of the hub", configuration="de-en")


def rejects(path, message, **options):
    with pytest.raises(ValueError, match=message) as error:
        read(path, **options)
    assert "\n" not in str(error.value)


def test_a_missing_data_set_is_reported(tmp_path):
    rejects(f"hub:{tmp_path / 'nowhere'}", "cannot load data set .* from the Hugging Face hub: ")


def test_different_numbers_of_lines_are_reported(folder):
    edit(folder / "dev.en", 3, None)
    rejects(folder, r"dev.de has 12 lines, but dev.en has 11; they must be aligned line by line")


@pytest.mark.parametrize(("split", "side"), [("dev", "de"), ("test", "en")])
def test_an_empty_test_line_is_reported(folder, split, side):
    edit(folder / f"{split}.{side}", 4, " \t")
    rejects(folder, rf"^{split}.de:4 is empty on one side, and only training pairs can be left out$")


def test_empty_and_long_training_pairs_are_dropped_with_a_warning(folder, caplog):
    edit(folder / "train.en", 5, "")
    edit(folder / "train.de", 9, "ein " * 40)
    edit(folder / "test.de", 2, "ein " * 40)
    with caplog.at_level(logging.WARNING):
        splits = read(folder, longest=30)
    assert [record.getMessage() for record in caplog.records if record.name.startswith("attn_research")] == [
        "train.de and train.en: 1 of 120 pairs have an empty line and are left out (line 5)",
        "train.de and train.en: 1 of 119 pairs have more than 30 symbols on a side and are left out (line 9)",
    ]
    assert {"train.de:5", "train.de:9"} == {f"train.de:{n}" for n in range(1, 121)} - {*splits["train"]["where"]}
    assert len(splits["test"]) == len(CORPUS["test"])


def test_held_out_training_pairs_are_dev(folder):
    for side in ("de", "en"):
        (folder / f"dev.{side}").unlink()
    splits = read(folder, held_out=12, longest=30, units="words", vocabulary=500)
    assert splits["dev"]["where"] == [f"train.de:{10 * i + 1}" for i in range(12)]
    assert len(splits["train"]) == 108 and not {*splits["train"]["where"]} & {*splits["dev"]["where"]}
    short = read(folder, held_out=12, longest=4, units="words", vocabulary=500)
    assert 0 < len(short["dev"]) < 12
    assert max(len(side) for split in ("train", "dev") for side in short[split]["source"]) == 4
    rejects(folder, "held_out is 120, but train.de and train.en have only 120 pairs", held_out=120)
    rejects(folder, "no dev.de or dev.de.gz in ")
    write_text(folder, {"val": CORPUS["dev"]})
    rejects(folder, "held_out is 12, but the data has a development split, 'val'; set held_out=0", held_out=12)


def test_held_out_pairs_do_not_contribute_to_the_vocabulary(folder):
    for side in ("de", "en"):
        (folder / f"dev.{side}").unlink()
    edit(folder / "train.de", 1, "Wolf.")
    splits = read(folder, held_out=12, units="words", vocabulary=500)
    assert splits["dev"]["source"][0] == [UNKNOWN, "."]


def test_rare_words_are_unknown(folder):
    edit(folder / "train.de", 7, "Wolf und Wolf.")
    edit(folder / "train.de", 8, "ein Fuchs.")
    known = read(folder, units="words", vocabulary=500, min_count=2).segmentations[0]
    assert known.split("ein Wolf Fuchs.") == [SPACE + "ein", SPACE + "Wolf", UNKNOWN, "."]


def test_missing_files_folders_and_options_are_reported(folder):
    rejects(folder, "no newstest.de or newstest.de.gz in .*; known: dev.de, .*did you mean test.de", test="newstest")
    rejects(folder, "no train.fr or train.fr.gz in .*; known: ", target="fr")
    rejects(folder / "nowhere", "no folder .*nowhere")
    rejects(folder, "units of task 'translation' is 'letters'; known: subwords, words", units="letters")
    rejects(folder, "vocabulary of task 'translation' is 0, but must be at least 1", vocabulary=0)
    rejects(folder, "vocabulary is 5, but the training split has 33 characters already", vocabulary=5)
    for path in ("", "hub:"):
        rejects(path, "translation needs the folder of its files, as in translation")
    (folder / "dev.de").write_bytes(b"\xff\n" * 12)
    rejects(folder, r"dev.de:1 is not UTF-8")


LINES = [
    "Ein Mann, der (im  T-Shirt) läuft.",
    ' "Zwei\tFrauen" – 3,5 km! ',
    "u\u0308ber",  # comes back composed
    "Preis: 5€/Stück …  ",
]


@pytest.mark.parametrize("units", ["words", "subwords"])
def test_joining_a_split_line_restores_it_with_single_spaces(units, tmp_path):
    segmentation = LearnedSegmentation.learn(LINES, units, 500, lowercase=False)
    segmentation.save(tmp_path / "pieces.json")
    for line in LINES:
        text = " ".join(line.split()).replace("u\u0308", "ü")
        assert segmentation.join(segmentation.split(line)) == text
        assert LearnedSegmentation.load(tmp_path / "pieces.json").split(line) == segmentation.split(line)
    assert segmentation.split_all(LINES) == [segmentation.split(line) for line in LINES]
    lowered = LearnedSegmentation.learn(LINES, units, 500, lowercase=True)
    assert lowered.join(lowered.split("Ein MANN")) == "ein mann"


def test_subwords_are_smaller_than_words_and_within_the_vocabulary_size():
    lines = [de for de, _ in CORPUS["train"]]
    segmentation = LearnedSegmentation.learn(lines, "subwords", 40, lowercase=False)
    symbols = {symbol for line in lines for symbol in segmentation.split(line)}
    assert len(symbols) <= 40 and max(map(len, symbols)) > 1
    assert (
        len(segmentation.split("Katzenmann")) > 1
        and segmentation.join(segmentation.split("Katzenmann")) == "Katzenmann"
    )


def test_symbols_outside_the_vocabulary_are_unknown(folder):
    splits = read(folder, units="words", vocabulary=6)
    train = {symbol for tokens in splits["train"]["source"] for symbol in tokens}
    assert len(train) == 7 and UNKNOWN in train
    source, _ = splits.segmentations
    word = next(symbol for symbol in train if symbol.startswith(SPACE))
    assert source.split(f"{word[1:]} Wolf.") == [word, UNKNOWN, "."]
    assert source.join(["▁ein", UNKNOWN, "▁Mann", "."]) == f"ein {UNKNOWN} Mann."
    assert LearnedSegmentation.learn(["abc"], "subwords", 20, lowercase=False).split("abc☃") == [SPACE + "abc", UNKNOWN]


def test_segmentations_are_joint_or_separate(folder):
    source, target = read(folder, joint=True).segmentations
    assert source is target and source.split("Katze cat") == [SPACE + "Katze", SPACE + "cat"]
    source, target = read(folder).segmentations
    assert len(source.split("Katze")) == 1 < len(target.split("Katze"))


PROGRAM = """
import hashlib, sys
from toy_corpus import corpus
from attn_research.data.segmentation import LearnedSegmentation
pieces = LearnedSegmentation.learn([de for de, _ in corpus()["train"]], "subwords", 60, False)
print(hashlib.sha256(pieces.tokenizer.to_str().encode()).hexdigest())
"""


def test_every_process_learns_the_same_subwords():
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{PROGRAM}"]
    assert len({subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(3)}) == 1
