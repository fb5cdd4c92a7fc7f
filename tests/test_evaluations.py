"""Evaluations that an experiment declares: made by a sweep, shown in its table, held in its committed records."""

import json
import shutil
from pathlib import Path

import pytest
from documents import ROOT, code_blocks

import attn_research.runs.environment as environment_module
from attn_research.cli import main
from attn_research.config import digest
from attn_research.reports.columns import format_si
from attn_research.reports.tables import measured
from attn_research.runs import records
from attn_research.sweeps.evaluations import Evaluate
from attn_research.sweeps.expand import load_experiment
from attn_research.training.loop import run

EXPERIMENT = """
from small_models import TINY
from attn_research.config import override
from attn_research.reports.tables import Table
from attn_research.sweeps.evaluations import Evaluate

EVALUATIONS = {
    "beam": Evaluate(changes={"decode.beam": 3}),
    "ensemble": Evaluate(ensemble=True, row=True, of=("general",)),
}
table = Table(
    "model.attention.score", ("test/exact", "test@beam/exact", "test@beam[length>1]/exact", "parameters", "seeds")
)

def runs():
    for seed in (0, 1, 2):
        yield override(TINY, {"seed": seed, "model.attention.score": "general", "train.steps": 6})
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with an experiment and its runs, of a clean checkout."""
    folder = tmp_path_factory.mktemp("experiment")
    (folder / "small.py").write_text(EXPERIMENT)
    (folder / "results").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(environment_module, "_package_git_state", lambda: {"commit": "c" * 40, "dirty": False})
        for config in load_experiment(folder / "small.py").runs:
            run(config, folder / "runs" / digest(config))
    return folder


@pytest.fixture
def folder(trained, tmp_path, monkeypatch):
    copy = shutil.copytree(trained, tmp_path / "copy")
    monkeypatch.chdir(copy)
    monkeypatch.setattr(environment_module, "_package_git_state", lambda: {"commit": "e" * 40, "dirty": False})
    monkeypatch.setenv("ATTN_RESEARCH_CACHE", str(tmp_path / "cache"))
    return copy


def result_files():
    return sorted(Path("runs").glob("*/evaluations/*/result.json"))


def read_all():
    paths = [(path, json.loads(path.read_text())) for path in result_files()]
    return {(path.parts[1], len(one["runs"])): one for path, one in paths}


def test_a_sweep_makes_the_missing_evaluations_once(folder, capsys):
    assert main(["sweep", "small.py", "--list"]) == 0
    assert capsys.readouterr().out.count("missing  runs/") == 4 and not result_files()
    assert main(["sweep", "small.py"]) == 0
    out = capsys.readouterr().out
    assert "small: 4 evaluations, 0 done\n[1/4] beam, runs/" in out and "[4/4] ensemble, runs/" in out
    assert len(result_files()) == 4
    assert main(["sweep", "small.py"]) == 0
    assert capsys.readouterr().out.endswith("small: 4 evaluations, 4 done\n")
    result_files()[0].unlink()
    assert main(["sweep", "small.py"]) == 0
    assert "[1/1] " in capsys.readouterr().out and len(result_files()) == 4


def cells(text, label):
    (line,) = [line for line in text.splitlines() if line.startswith(f"| `{label}`")]
    return [cell.strip().partition(" ")[0] for cell in line.split("|")[2:-1]]


def test_columns_and_rows_show_the_evaluations(folder, capsys):
    assert main(["table", "small.py"]) == 2
    assert "no run of small has the evaluation 'test@beam' that its columns show; `attn-research sweep` makes it" in (
        capsys.readouterr().err
    )
    main(["sweep", "small.py"])
    capsys.readouterr()
    assert main(["table", "small.py"]) == 0
    text = capsys.readouterr().out
    evaluated = read_all()
    exact = [one["splits"]["test"]["metrics"]["exact"] for (_, members), one in evaluated.items() if members == 1]
    (ensemble,) = [one["splits"]["test"]["metrics"]["exact"] for (_, members), one in evaluated.items() if members == 3]
    parameters = records.load_runs("runs")[0]["parameters"]
    row, joint = cells(text, "general"), cells(text, "general, ensemble")
    assert float(row[1]) == pytest.approx(100 * sum(exact) / 3, abs=0.06)
    assert float(joint[0]) == pytest.approx(100 * ensemble, abs=0.06) and joint[1] == "–"
    counts = [format_si(members * parameters).partition(" ")[0] for members in (1, 3)]
    assert row[3:] == [counts[0], "3"] and joint[3:] == [counts[1], "1"]
    assert "`@beam`: decode.beam=3; 3 evaluations, commit `eeeeeeeeee`." in text
    assert "`@ensemble`: an ensemble of 3 seeds; 1 evaluations, commit `eeeeeeeeee`." in text
    assert "3 records: commit `cccccccccc`" in text


def test_a_report_has_the_attention_maps_of_runs_with_evaluations(folder):
    main(["sweep", "small.py"])
    assert main(["report", "small.py"]) == 0
    assert "Attention maps need the outputs" not in Path("runs/reports/small.html").read_text()


def test_a_column_of_an_undeclared_evaluation_is_one_sentence(folder, capsys):
    Path("small.py").write_text(EXPERIMENT.replace("test@beam", "test@beem"))
    assert main(["table", "small.py"]) == 2
    assert capsys.readouterr().err == (
        "attn-research: EVALUATIONS of small has no 'beem'; known: beam, ensemble; did you mean beam?\n"
    )


def test_committed_records_hold_the_evaluations(folder, capsys):
    main(["sweep", "small.py"])
    capsys.readouterr()
    assert main(["table", "small.py", "--save"]) == 0
    saved = Path("results/small.md").read_text()
    shutil.rmtree("runs")
    assert main(["table", "small.py", "--check"]) == 0
    capsys.readouterr()
    assert main(["table", "small.py"]) == 0
    assert capsys.readouterr().out == saved
    experiment = Path("small.py").read_text()
    for old, new in (('{"decode.beam": 3}', '{"decode.beam": 2}'), ("ensemble=True, ", 'split="dev", ensemble=True, ')):
        Path("small.py").write_text(experiment.replace(old, new))
        assert main(["table", "small.py", "--check"]) != 0  # the records are of another evaluation
        capsys.readouterr()
    Path("small.py").write_text(experiment.replace("(0, 1, 2)", "(0, 1)"))
    main(["table", "small.py"])
    text = capsys.readouterr().out
    assert "`@ensemble`: 0 evaluations, not made; 1 missing" in text and "`general, ensemble`" not in text


def test_evaluations_with_uncommitted_changes_are_not_saved(folder, capsys, monkeypatch):
    monkeypatch.setattr(environment_module, "_package_git_state", lambda: {"commit": "e" * 40, "dirty": True})
    main(["sweep", "small.py"])
    capsys.readouterr()
    assert main(["table", "small.py", "--save"]) == 2
    assert "the evaluations were made with uncommitted changes; nothing saved" in capsys.readouterr().err


def test_a_run_that_is_trained_again_needs_its_evaluations_again(folder, capsys):
    main(["sweep", "small.py"])
    (path, *_) = sorted(Path("runs").glob("*/result.json"))
    record = records.read(path.parent)
    records.write(path.parent, record | {"parameters_hash": "0" * 64})
    capsys.readouterr()
    assert main(["table", "small.py"]) == 0
    text = capsys.readouterr().out
    assert "2 evaluations, commit `eeeeeeeeee`; 1 missing" in text and "general, ensemble" not in text


def test_a_metric_of_a_users_file_reads_the_outputs_of_an_evaluation(folder, capsys):
    Path("mine.py").write_text("def written(item):\n    return len(item['output']), 1\n")
    column = '"test@beam/mine.py:written", "test/exact"'
    Path("small.py").write_text(EXPERIMENT.replace('"test/exact"', column, 1))
    main(["sweep", "small.py"])
    capsys.readouterr()
    assert main(["table", "small.py"]) == 0
    text = capsys.readouterr().out
    files = [
        path.parent / "outputs" / "test.jsonl"
        for path in result_files()
        if len(json.loads(path.read_text())["runs"]) == 1
    ]
    lengths = [len(json.loads(line)["output"]) for file in files for line in file.read_text().splitlines()]
    assert float(cells(text, "general")[0]) == pytest.approx(sum(lengths) / len(lengths), abs=0.06)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"split": "dev", "data": ("a.tsv",)}, "split of Evaluate is 'dev', but has no effect, since data names files"),
        ({"changes": {"beam": 3}}, "'beam' cannot be changed in a trained run; known: .*did you mean decode.beam"),
        ({"changes": {"decode.beam": 0}}, "decode.beam' is 0, but must be at least 1"),
        ({"average": "last"}, "average is 'last', but must be last:N"),
        ({"dictionary": "a.tsv"}, "dictionary of Evaluate has no effect without replace_unknown"),
        ({"unknown_step": "reading"}, "unknown_step of Evaluate has no effect without replace_unknown"),
        ({"replace_unknown": True, "unknown_step": "next"}, "unknown_step is 'next', but must be predicting or"),
        ({"data": "test.de"}, "data of Evaluate is 'test.de', but must be a tuple of strings"),
    ],
)
def test_an_invalid_evaluation_is_one_sentence(fields, message):
    with pytest.raises(ValueError, match=message):
        Evaluate(**fields)


def test_the_documented_evaluations_are_those_of_its_columns():
    (block,) = [code for code in code_blocks((ROOT / "docs" / "measurement.md").read_text()) if "EVALUATIONS" in code]
    names: dict = {}
    exec(block, names)
    declared = {f"{how.measured}@{name}" for name, how in names["EVALUATIONS"].items() if not how.row}
    assert declared == {split for split, _ in measured(names["table"].columns) if "@" in split}


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ("[Evaluate()]", r"EVALUATIONS is \[Evaluate\(.*, but must be a dict"),
        ('{"beam": 5}', "EVALUATIONS is {'beam': 5}, but must be a dict"),
        ('{"a/b": Evaluate()}', "EVALUATIONS has the name 'a/b', which must not be empty or have"),
    ],
)
def test_an_invalid_declaration_is_one_sentence(tmp_path, declared, message):
    (tmp_path / "wrong.py").write_text(f"{EXPERIMENT}\nEVALUATIONS = {declared}\n")
    with pytest.raises(ValueError, match=message):
        load_experiment(tmp_path / "wrong.py")
