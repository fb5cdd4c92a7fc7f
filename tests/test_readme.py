"""Every command of the README runs, and every link and path of the documents is there."""

import contextlib
import json
import os
import re
import shlex
import shutil
from pathlib import Path

import fake_runs
import numpy as np
import pytest
import toy_corpus
from documents import DOCUMENTS, ROOT, code_blocks, commands, links, paths
from user_folder import user_folder  # noqa: F401 (a fixture)

from attn_research.cli import main
from attn_research.config import digest, load, override, parse_changes
from attn_research.data import task
from attn_research.runs import records
from attn_research.runs.trials import load_trials
from attn_research.sweeps.expand import load_experiment
from attn_research.sweeps.tuning import tune_rows

README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = commands(README)
DEMO = "experiments/score_functions.py"
TINY = ("data.batch_size=8", "data.shapes=1", "model.embedding=8", "model.encoder.hidden=8", "model.decoder.hidden=8")
TINY += ("train.steps=2", "train.evaluate_every=2")
WORDS = {
    "train.tsv": "ab\tEY B\nba\tB EY\nac\tEY S\nca\tS EY\nbc\tB S\n",
    "dev.tsv": "cb\tS B\n",
    "test.tsv": "aa\tEY EY\n",
}


def select(*starts: str) -> list[str]:
    return [command for command in COMMANDS if command.startswith(starts)]


def run(command: str, *more: str) -> int:
    program, *words = shlex.split(command)
    assert program == "attn-research"
    return main([*words, *more])


FAKED = select(f"attn-research sweep {DEMO}", f"attn-research figure {DEMO}")
PRINTED = select(
    *(f"attn-research {command} {DEMO}" for command in ("table", "tune", "report", "claims")),
    "attn-research config",
    "attn-research scores",
)
CHECKED = select("attn-research check")
MADE = select("make ")
TRAINED = select("attn-research train configs/g2p", "attn-research train configs/multi30k")
TRANSLATED = select("attn-research translate")
EVALUATED = select("attn-research evaluate")


def test_every_command_is_tried_below():
    assert sorted(FAKED + PRINTED + CHECKED + MADE + TRAINED + TRANSLATED + EVALUATED) == sorted(COMMANDS)
    assert all((FAKED, PRINTED, CHECKED, MADE, TRAINED, TRANSLATED, EVALUATED))


@pytest.fixture
def checkout(user_folder):  # noqa: F811
    """Configs, experiments, committed records and the user's score in the working directory; runs are faked."""
    fill(user_folder)
    return user_folder


def fill(folder: Path) -> None:
    for name in ("configs", "experiments"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "my_scores.py").write_text(code_blocks(README)[0])


@pytest.mark.parametrize("command", MADE)
def test_make_has_the_target(command):
    target = command.removeprefix("make ")
    assert f"\n{target}: " in (ROOT / "Makefile").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("command", FAKED)
def test_a_command_about_runs(command, checkout):
    if " figure " in command and "--item" in command:  # the others draw the committed records
        experiment, trials = (
            load_experiment(DEMO),
            load_trials(Path(DEMO).parent / "results/score_functions.trials.jsonl"),
        )
        tuning = tune_rows(experiment.tune, experiment.sizes, records.by_config(trials))
        for config in tuning.executed(experiment.sizes).values():
            write_outputs(Path("runs") / digest(config), config)
    assert run(command) == 0


def write_outputs(directory: Path, config) -> None:
    """A finished run that has outputs of four items."""
    dev = {"step": [500, 1000], "loss": [1.0, 0.5], config.train.select: [1.0, 0.5]}
    records.write(directory, fake_runs.make_record(config, dev=dev))
    (directory / "outputs").mkdir()
    line = json.dumps({"source": ["a", "b"], "references": [["c"]], "output": ["c"]})
    (directory / "outputs/test.jsonl").write_text(f"{line}\n" * 4)
    np.savez(directory / "outputs/attention.npz", **{str(item): np.full((2, 2), 0.5) for item in range(4)})


@pytest.mark.parametrize("command", PRINTED)
def test_a_command_that_prints(command, checkout, capsys):
    assert run(command) == 0
    assert capsys.readouterr().out.strip()


@pytest.mark.slow
@pytest.mark.parametrize("command", CHECKED)
def test_the_laws_hold_for_the_score(command, checkout):
    assert run(command) == 0


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with the user's data and the runs of the commands that train on it, by their arguments."""
    folder = tmp_path_factory.mktemp("checkout")
    fill(folder)
    (folder / "my_words").mkdir()
    for name, text in WORDS.items():
        (folder / "my_words" / name).write_text(text)
    (folder / "my_sentences").mkdir()
    toy_corpus.write_text(folder / "my_sentences", toy_corpus.corpus())
    (folder / "lines.txt").write_text("ab\ncab\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("ATTN_RESEARCH_CACHE", str(folder / "cache"))
        local = [command for command in TRAINED if "hub:" not in command]
        statuses = {command: run(command, *TINY, "--runs", f"runs/{i}") for i, command in enumerate(local)}
    return folder, statuses


@contextlib.contextmanager
def redirected_stdin(file: str):
    """Standard input from a file, as `< file` does it in a shell."""
    saved = os.dup(0)
    with open(file, "rb") as stream:
        os.dup2(stream.fileno(), 0)
    try:
        yield
    finally:
        os.dup2(saved, 0)
        os.close(saved)


@pytest.mark.slow
def test_training_on_own_data(trained):
    folder, statuses = trained
    assert len(statuses) == 2 and not any(statuses.values())
    assert len(list((folder / "runs").glob("*/*/result.json"))) == 2


@pytest.mark.slow
@pytest.mark.parametrize("command", TRANSLATED)
def test_translating_with_a_run(command, trained, monkeypatch, capsys):
    folder, _ = trained
    monkeypatch.chdir(folder)
    (directory,) = {path.parent for path in Path("runs/0").glob("*/result.json")}
    command, file = command.replace("runs/ID", str(directory)).split(" < ")
    with redirected_stdin(file):
        assert run(command) == 0
    assert capsys.readouterr().out
    assert Path("map.png").is_file() == ("map.png" in command)


@pytest.mark.slow
@pytest.mark.parametrize("command", EVALUATED)
def test_evaluating_a_run(command, trained, monkeypatch, capsys):
    folder, _ = trained
    monkeypatch.chdir(folder)
    (directory,) = {path.parent for path in Path("runs/0").glob("*/result.json")}
    assert run(command.replace("runs/ID", str(directory))) == 0
    assert len(list(directory.glob("evaluations/*/result.json"))) == 1


@pytest.mark.slow
@pytest.mark.parametrize("command", [command for command in TRAINED if "hub:" in command])
def test_a_data_set_of_the_hub_is_read(command, tmp_path, monkeypatch):
    """In place of the hub stands a folder of the same name, which needs no network."""
    import datasets

    fill(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    _, _, file, *changes = shlex.split(command)
    config = override(load(file), parse_changes(changes))
    hub = Path(config.data.task.hyper["path"].removeprefix("hub:"))
    hub.mkdir(parents=True)
    corpus = toy_corpus.corpus()
    toy_corpus.write_json(hub, {"validation" if split == "dev" else split: pairs for split, pairs in corpus.items()})
    assert len(task.load(config.data.task)["dev"]) == len(corpus["dev"])


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 150


def test_numbers_in_the_findings_stand_in_the_committed_tables():
    findings = README.partition("## What it found")[2].partition("\n## ")[0]
    tables = " ".join(path.read_text(encoding="utf-8") for path in (ROOT / "experiments" / "results").glob("*.md"))
    numbers = re.findall(r"\d+\.\d+", findings)
    assert numbers and not [number for number in numbers if f" {number} " not in tables and f" {number}†" not in tables]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_paths_are_there(document):
    text = document.read_text(encoding="utf-8")
    assert not [target for target in links(text) if not (document.parent / target).exists()]
    assert not [path for path in paths(text) if not (ROOT / path).exists()]
