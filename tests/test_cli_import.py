"""The command `import`: run directories that other commands accept, and its errors."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
from reference_imports import MODELS, WORDS

from attn_research.cli import main
from attn_research.config import override, unflatten
from attn_research.data.fingerprint import fingerprint
from attn_research.data.task import load
from attn_research.errors import UserError
from attn_research.runs import records
from attn_research.training.loop import run

EXPERIMENT = """
import json
from pathlib import Path
from attn_research.config import unflatten
from attn_research.reports.tables import Table

def runs():
    for path in Path("runs").glob("*/config.json"):
        yield unflatten(json.loads(path.read_text()))

table = Table("train.imported", ("test/bleu", "parameters", "ms"))
"""
IMPORT = ["import", "fairseq", "model.npz", "--source-vocabulary", "dict.txt", "--target-vocabulary", "dict.txt"]
DATA = ["data.task=tokenized(path='data')", "data.shapes=1", "decode.ratio=1"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Changes to a folder with a checkpoint of fairseq, its vocabulary and data."""
    rng, data = random.Random(0), tmp_path / "data"
    data.mkdir()
    for split, size in {"train": 12, "dev": 4, "test": 5}.items():
        for side in ("de", "en"):
            lines = [" ".join(rng.choices(WORDS, k=rng.randint(1, 4))) for _ in range(size)]
            (data / f"{split}.{side}").write_text("\n".join(lines) + "\n")
    np.savez(tmp_path / "model.npz", **MODELS["fairseq"](layers=1))
    (tmp_path / "dict.txt").write_text("".join(f"{word} 3\n" for word in WORDS))
    (tmp_path / "systems.py").write_text(EXPERIMENT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ATTN_RESEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("attn_research.runs.compilation_cache.enable_compilation_cache", lambda: None)
    yield tmp_path
    for cached in (load, fingerprint):  # by the relative path of the data
        cached.cache_clear()


def directory():
    (path,) = Path("runs").glob("*/config.json")
    return path.parent


def test_with_data_the_run_has_a_record_that_tables_and_translate_accept(folder, capsys):
    assert main([*IMPORT, *DATA]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"run: {directory()}"
    record = records.read(directory())
    origin = json.loads((directory() / "imported.json").read_text())
    assert record["imported"] == origin and origin["system"] == "fairseq" and origin["file"] == "model.npz"
    assert record["config"]["train.imported"] == f"fairseq:{origin['sha256'][:16]}"
    assert (record["status"], record["steps"], set(record["splits"])) == ("finished", 0, {"dev", "test"})
    outputs = [json.loads(line)["text"] for line in (directory() / "outputs" / "test.jsonl").read_text().splitlines()]

    assert main(["translate", str(directory()), "--input", "data/test.de"]) == 0
    assert capsys.readouterr().out.splitlines() == outputs
    assert main(["table", "systems.py"]) == 0
    table = capsys.readouterr().out
    assert f"| `{record['config']['train.imported']}` |" in table and "parameters of fairseq from `model.npz`" in table
    assert main([*IMPORT, *DATA]) == 0
    assert capsys.readouterr().out.startswith("This checkpoint is imported already.\ndev: ")
    assert main(["sweep", "systems.py"]) == 0


def test_without_data_the_run_only_translates(folder, capsys):
    assert main([*IMPORT, "decode.ratio=1", "decode.beam=2"]) == 0
    assert "There is no record" in capsys.readouterr().out and records.read(directory()) is None
    (folder / "lines.txt").write_text("ein rot\n")
    assert main(["translate", str(directory()), "--input", "lines.txt"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert main([*IMPORT, "decode.ratio=1", "decode.beam=2"]) == 0
    assert "imported already" in capsys.readouterr().out
    (folder / "dict.txt").write_text((folder / "dict.txt").read_text().replace("ein", "eins"))
    assert main([*IMPORT, "decode.ratio=1", "decode.beam=2"]) == 2
    assert "other vocabularies or options; --fresh" in capsys.readouterr().err
    assert main([*IMPORT, "decode.ratio=1", "decode.beam=2", "--fresh"]) == 0


def test_an_imported_config_is_not_trained(folder, capsys):
    assert main(IMPORT) == 0
    (folder / "copy.json").write_text((directory() / "config.json").read_text())
    (folder / "one.py").write_text(
        "import json\nfrom pathlib import Path\nfrom attn_research.config import unflatten\n"
        "config = unflatten(json.loads(Path('copy.json').read_text()))\n"
    )
    assert main(["train", "one.py", "--runs", "others"]) == 2
    assert "such a run is not trained" in capsys.readouterr().err
    config = override(unflatten(json.loads((folder / "copy.json").read_text())), {"seed": 1})
    with pytest.raises(UserError, match="such a run is not trained"):
        run(config, folder / "others" / "x")
    assert not (folder / "others" / "x").exists()


def test_text_of_another_segmentation_is_a_warning(folder, capsys):
    text = (folder / "data" / "test.en").read_text()
    (folder / "data" / "test.en").write_text(text.upper())
    assert main([*IMPORT, *DATA]) == 0
    assert "of the target symbols of test are not in the vocabulary" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([*IMPORT, "model.embedding=3"], "'model.embedding' cannot be set in an import"),
        ([*IMPORT, "decode.beem=3"], "did you mean decode.beam?"),
        ([*IMPORT, "--option", "x"], "must be NAME=VALUE"),
        ([*IMPORT, "data.task=reverse"], "a source of fairseq ends in </s>"),
        ([*IMPORT, "data.task=translation(path='data')"], "learns its own symbols"),
        ([*IMPORT, "data.task=tokenized(path='date')"], "did you mean data?"),
        (["import", "fairsec", *IMPORT[2:]], "did you mean fairseq?"),
        (["import", "fairseq", "modle.npz", *IMPORT[3:]], "did you mean model.npz?"),
        (["import", "fairseq", "model.npz", *IMPORT[3:6], "missing.txt"], "missing.txt"),
    ],
)
def test_wrong_arguments_are_one_sentence_and_nothing_is_written(words, sentence, folder, capsys):
    assert main(words) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1
    assert not list(Path("runs").glob("*/*.json"))
