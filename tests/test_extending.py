"""Every example of docs/extending.md works as it stands, from a file of the user's own."""

import json
import shlex
import shutil
from pathlib import Path

import fake_runs
import jax.numpy as jnp
import pytest
from documents import ROOT, code_blocks, commands
from known_records import first, split

from attn_research import user_modules
from attn_research.cli import main
from attn_research.config import digest, flatten, load, override, parse_changes
from attn_research.data import task
from attn_research.runs import records
from attn_research.sweeps.expand import load_experiment
from attn_research.sweeps.tuning import trials_by_row, tune_rows
from attn_research.training.check import check
from attn_research.training.optimizers import schedules

PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
FILES = {block.split("\n")[0].removeprefix("# "): block for block in code_blocks(PAGE)}
COMMANDS = [shlex.split(line)[1:] for line in commands(PAGE) if line.startswith("attn-research")]
TRAINED = [words[1:] for words in COMMANDS if words[0] == "train"]
CHECKED = [words for words in COMMANDS if words[0] == "check"]
SIZES = {"model.embedding": 5, "model.encoder.hidden": 6, "model.decoder.hidden": 6}
TINY = {"data.batch_size": 8, "data.shapes": 1, "train.steps": 2, "train.evaluate_every": 2}
REPEATS = "test/my_metrics.py:repeats"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The user's folder, with all files of the page and the configs."""
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ATTN_RESEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(user_modules, "_modules", {})
    return tmp_path


def config_of(words):
    file, *changes = words
    return override(load(file), parse_changes(changes) | SIZES)


def test_every_kind_has_an_example_with_a_command():
    files = {name for name in FILES if any(name in word for words in COMMANDS for word in words)}
    assert files == set(FILES) - {"my_metrics.py"} and REPEATS.removeprefix("test/") in FILES["my_experiment.py"]
    kinds = ("Score", "Normalizer", "Window", "Cell", "Placement", "Combination", "Output normalizer")
    assert all(f"\n## {kind}\n" in PAGE for kind in (*kinds, "Optimizer and schedule", "Task", "Metric"))


@pytest.mark.parametrize("words", TRAINED, ids=lambda words: words[-1])
def test_a_config_names_the_example(words):
    config = config_of(words)
    check(config)
    assert any(".py:" in str(value) for value in flatten(config).values())


@pytest.mark.slow
@pytest.mark.parametrize("words", CHECKED, ids=lambda words: words[-1])
def test_the_laws_hold_for_the_example(words):
    assert main(words) == 0


def test_the_schedule_rises_and_falls():
    (words,) = [words for words in TRAINED if "inverse_root" in words[-1]]
    share = schedules.bind(config_of(words).train.schedule)(1000)
    assert [round(float(share(jnp.int32(step))), 3) for step in (0, 199, 799)] == [0.005, 1.0, 0.5]


def test_the_task_has_its_splits():
    (words,) = [words for words in TRAINED if "my_tasks.py" in words[-1]]
    splits = task.load(config_of(words).data.task)
    assert {name: len(split) for name, split in splits.items()} == {"train": 2000, "dev": 200, "test": 200}
    assert all(item["target"] == item["source"] + item["source"][::-1] for item in splits["dev"])


def record_outputs(config, *outputs: str) -> Path:
    """A finished run of `config` with these outputs on test."""
    directory = Path("runs") / digest(config)
    record = fake_runs.make_record(config)
    records.write(directory, record)
    (directory / "outputs").mkdir()
    items = [{"source": ["a"], "references": [["b"]], "output": list(output)} for output in outputs]
    (directory / "outputs/test.jsonl").write_text("".join(f"{json.dumps(item)}\n" for item in items))
    return directory


def test_a_table_has_the_metric(capsys):
    for config in load_experiment("my_experiment.py").runs:
        record_outputs(config, "abc", "aab" if config.model.attention.score == "dot" else "aaa", "")
    assert main(["table", "my_experiment.py"]) == 0
    table = capsys.readouterr().out
    assert "test repeats, % ↓" in table
    rows = dict(line.split(" | ")[::2] for line in table.splitlines() if line.startswith("| `"))
    assert rows["| `dot`"].startswith("**25.00**") and rows["| `general`"].startswith("50.00")


def test_saved_records_have_the_metric(capsys, folder):
    directories = [record_outputs(config, "aab", "abc") for config in load_experiment("my_experiment.py").runs]
    (folder / "results").mkdir()
    assert main(["table", "my_experiment.py", "--save"]) == 0
    for directory in directories:
        shutil.rmtree(directory)
    assert main(["table", "my_experiment.py", "--check"]) == 0
    assert main(["table", "my_experiment.py"]) == 0
    capsys.readouterr()
    (folder / "my_metrics.py").write_text(FILES["my_metrics.py"].replace("- 1, 0", "- 1, 1"))
    user_modules.drop_edited()
    assert main(["table", "my_experiment.py"]) == 2
    assert "was computed with another version of my_metrics.py" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("0.5, 1", "returns (0.5, 1) for an item, but must return two whole numbers from 0 to 65535"),
        ("1", "returns 1 for an item"),
        ("-1, 1", "returns (-1, 1) for an item"),
        ("item['ouput'], 1", "my_metrics.py:11: KeyError: 'ouput'"),
    ],
)
def test_a_mistake_in_a_metric_is_one_sentence(returned, message, capsys, folder):
    *lines, _ = FILES["my_metrics.py"].rstrip().split("\n")
    (folder / "my_metrics.py").write_text("\n".join([*lines, f"    return {returned}", ""]))
    record_outputs(load_experiment("my_experiment.py").runs[0], "aab")
    assert main(["table", "my_experiment.py"]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_an_unknown_metric_is_told_with_the_nearest(capsys, folder):
    (folder / "my_experiment.py").write_text(FILES["my_experiment.py"].replace(":repeats", ":repeat"))
    assert main(["table", "my_experiment.py"]) == 2
    assert "no function 'repeat' in my_metrics.py; known: repeats; did you mean repeats?" in capsys.readouterr().err


def test_a_comparison_lists_its_trials_and_solved_sizes(capsys):
    assert main(["sweep", "my_comparison.py", "--list"]) == 0
    assert capsys.readouterr().out.count("missing ") == 2 * 3 * 3
    experiment = load_experiment("my_comparison.py")
    assert len({config.model.decoder.hidden for config in experiment.sizes.values()}) == 2
    for words in (words for words in COMMANDS if words[1] == "my_comparison.py" and "--list" not in words):
        assert main(words) == 2  # nothing is trained yet
        assert "sweep` trains the" in capsys.readouterr().err


def test_the_comparison_has_a_table_and_curves(capsys):
    experiment = load_experiment("my_comparison.py")
    trials = [trial.config for of_row in trials_by_row(experiment.tune, experiment.sizes).values() for trial in of_row]
    attributes = records.pack_attributes({"length": list(range(100))})
    splits = dict.fromkeys(("dev", "test"), split(first(60)) | {"attributes": attributes})
    tuning = tune_rows(experiment.tune, experiment.sizes, {one: fake_runs.make_record(one) for one in trials})
    for config in [*trials, *tuning.executed(experiment.sizes).values()]:
        record = fake_runs.make_record(config, splits=splits, peak_memory=10**9)
        records.write(Path("runs") / digest(config), record)
    assert main(["table", "my_comparison.py"]) == 0
    page = capsys.readouterr().out
    assert "| `dot, batches of 32` | **60.0**" in page
    assert "Hidden sizes are solved for equal parameters" in page and "Tuning budget of every row: 3 settings" in page
    assert main(["figure", "my_comparison.py", "--axes"]) == 0
    lines = Path("runs/reports/my_comparison-axes.csv").read_text().splitlines()
    assert [line.split(",")[1:4] for line in lines[1:4]] == [["dot", str(size), "0.6"] for size in (32, 64, 128)]


@pytest.mark.slow
def test_all_examples_train_together(capsys):
    changes = {}
    for _, *words in TRAINED:
        changes |= parse_changes(words)
    changes |= SIZES | TINY | {"data.task": "my_tasks.py:palindrome(items=40)", "train.select": "loss"}
    words = [f"{name}={value}" for name, value in changes.items()]
    assert main(["train", "configs/dates.py", *words]) == 0
    (directory,) = {path.parent for path in Path("runs").glob("*/result.json")}
    record = records.read(directory)
    assert record["status"] == "finished" and len(record["user_code"]) == 10
    (Path("one.py")).write_text(
        "from attn_research.config import unflatten\nfrom attn_research.reports.tables import Table\n"
        f"table = Table(row='data.task', columns=('{REPEATS}',))\n"
        f"def runs():\n    yield unflatten({record['config']!r})\n"
    )
    capsys.readouterr()
    assert main(["table", "one.py"]) == 0
    assert "test repeats, % ↓" in capsys.readouterr().out
