import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import fake_runs
import pytest
from user_folder import environment, user_folder  # noqa: F401 (a fixture)

from attn_research.cli import main
from attn_research.config import Config, digest, override
from attn_research.runs import records
from attn_research.sweeps.execute import RunLockedError, lock_run
from attn_research.sweeps.expand import load_experiment

pytestmark = pytest.mark.usefixtures("user_folder")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "the following arguments are required: COMMAND"),
        (
            "trian",
            "unknown value 'trian'; known: check, claims, completion, config, figure, import, scores, sweep, table, "
            "train, translate, tune; did you mean train?",
        ),
        ("train", "the following arguments are required: CONFIG"),
        (
            "train date.py",
            "no file date.py; known: broken.py, dates.py, mine.py, small.py; did you mean dates.py?",
        ),
        ("train broken.py", "broken.py:3: NameError: name 'Confi' is not defined"),
        ("train small.py", "small.py defines no Config named 'config'"),
        ("train dates.py sed=2", "config has no field 'sed'; known: "),
        ("train dates.py seed", "'seed' is not of the form name=value"),
        ("train dates.py seed=two", "config field 'seed' is 'two', but must be of type int"),
        ("train dates.py --wandb maybe", "unknown value 'maybe'; known: off, offline, online"),
        ("train dates.py --wandbb off", "unknown argument '--wandbb'"),
        ("train dates.py model.attention.score=nowhere.py:cosine", "cannot import 'nowhere.py': FileNotFoundError"),
        ("train dates.py --runs dates.py", "dates.py"),
        (
            "sweep smal.py",
            "no file smal.py; known: broken.py, dates.py, mine.py, small.py; did you mean small.py?",
        ),
        ("sweep dates.py", "dates.py is not an experiment: it does not define runs and table"),
        ("sweep small.py --jobs 0", "--jobs is 0, but must be at least 1"),
        ("sweep small.py --jobs two", "argument --jobs: invalid int value: 'two'"),
        ("sweep small.py --add seed", "'seed' is not of the form name=value"),
        ("sweep small.py --add model.attention.score=min.py:cosine", "cannot import 'min.py'"),
        ("table small.py", "no run of small is finished; `attn-research sweep` trains them"),
        ("table small.py --format html", "unknown value 'html'; known: csv, md, tex"),
        ("table small.py --save --check", "argument --check: not allowed with argument --save"),
        ("table small.py --save seed=1", "--save and --check need the unchanged experiment"),
        ("table small.py --save", "no run of small is finished"),
        ("table small.py --check", "small has no results/small.jsonl and small.md; --save writes them"),
        ("figure small.py", "no run of small is finished in runs; `attn-research sweep` trains them"),
        ("translate runs/nothing", "runs/nothing holds no trained run"),
        ("check mine.py:cosin", "no function 'cosin' in mine.py; known: cosine; did you mean cosine?"),
        ("config model.attention.scor", "config has no field 'model.attention.scor'; known: "),
        ("completion fish", "unknown value 'fish'; known: bash, tcsh, zsh"),
        ("scores preset:fairsek", "unknown preset 'fairsek'; known: "),
        ("scores preset:fairseq --plot", "--plot draws one variant, and preset:fairseq sets several"),
        ("check none", "score 'none' has no weights, so the laws of attention say nothing of it"),
        ("check dot --normalizer softmx", "unknown normalizer 'softmx'; known: "),
        ("translate runs/nothing more", "runs/nothing holds no trained run"),
        ("completion bash more", "unknown argument 'more'"),
        ("translate runs/nothing --step 3", "--step chooses the bars of a picture, so it needs --attention OUT.png"),
    ],
)
def test_every_invalid_argument_is_one_line(line, message, capsys):
    try:
        status = main(line.split())
    except SystemExit as end:
        status = end.code
    captured = capsys.readouterr()
    assert (status, captured.out) == (2, "")
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("attn-research: ")
    assert message in captured.err


def test_a_sweep_makes_only_missing_runs(capsys):
    assert main(["sweep", "small.py", "--jobs", "1"]) == 0
    lines = capsys.readouterr().out.split("\n")
    assert lines[0] == "small: 6 runs, 0 done, 6 to train, 1 at a time"
    assert lines[1] == "dot seed=0: started"
    assert lines[2].startswith("[1/6] dot seed=0: exact 98.1, 19 s; about ")
    assert lines[-2] == "[6/6] general seed=2: exact 98.1, 19 s"
    assert main(["sweep", "small.py"]) == 0
    assert capsys.readouterr().out == "small: 6 runs, 6 done\n"
    assert main(["sweep", "small.py", "--list", "--add", "model.attention.score=mine.py:cosine"]) == 0
    lines = capsys.readouterr().out.split("\n")
    assert lines[0].startswith("done     runs/")
    assert len([line for line in lines if line.startswith("missing") and "mine.py:cosine seed=" in line]) == 3


def test_a_run_of_an_edited_score_is_reported_and_replaced_by_fresh(capsys):
    arguments = ["sweep", "small.py", "--list", "seed=1", "model.attention.score=mine.py:cosine"]
    (config,) = load_experiment("small.py", {"seed": 1, "model.attention.score": "mine.py:cosine"}).runs
    record = fake_runs.make_record(config)
    records.write(Path("runs") / digest(config), record)
    main(arguments)
    assert capsys.readouterr().out.startswith("done")
    records.write(Path("runs") / digest(config), record | {"user_code": {"mine.py:cosine": "of yesterday"}})
    main(arguments)
    assert capsys.readouterr().out.startswith("differs")
    assert main([word for word in arguments if word != "--list"]) == 2
    assert "mine.py:cosine was edited; --fresh" in capsys.readouterr().err
    assert main([word for word in arguments if word != "--list"] + ["--fresh"]) == 0
    assert records.read(Path("runs") / digest(config))["user_code"] == record["user_code"]
    (old,) = Path("runs").glob("*.replaced-*")
    assert records.read(old)["user_code"] == {"mine.py:cosine": "of yesterday"}


def test_a_sweep_continues_after_a_failure_and_exits_with_1(capsys):
    arguments = ["sweep", "small.py", "seed=0", "--jobs", "1", "--add", "data.task=fake(how='raise')"]
    assert main(arguments) == 1
    captured = capsys.readouterr()
    assert '[4/4] fake(how="raise") general: failed: ' in captured.out
    assert f"{fake_runs.RAISES}: RuntimeError: the cat sat (runs/" in captured.out
    assert captured.err == "attn-research: 2 of 4 runs failed; the same command retries them\n"


def test_a_diverged_run_is_listed_as_diverged(capsys):
    config = load_experiment("small.py").runs[0]
    records.write(Path("runs") / digest(config), fake_runs.make_record(config, **fake_runs.DIVERGED))
    assert main(["sweep", "small.py", "seed=0", "--list"]) == 1
    assert capsys.readouterr().out.startswith("diverged ")


# Background jobs of a shell ignore SIGINT; the sweep restores the default handler.
SWEEP = "import signal, sys; from attn_research.sweeps import local; from attn_research.cli import main; \
signal.signal(signal.SIGINT, signal.default_int_handler); local.TARGET = 'fake_runs:run'; import fake_runs; \
from attn_research.data.task import tasks; tasks.functions['fake'] = fake_runs.fake; main()"


@pytest.fixture
def interrupted(tmp_path):
    """Returns a function that interrupts a waiting sweep by a signal: -> arguments, directories, status, errors."""
    arguments = ["sweep", "small.py", "seed=0", "data.task=fake(how='wait')"]
    runs = load_experiment("small.py", {"seed": 0, "data.task": "fake(how='wait')"}).runs
    directories = [tmp_path / "runs" / digest(config) for config in runs]

    def interrupt(number):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        command = [sys.executable, "-c", SWEEP, *arguments]
        process = subprocess.Popen(command, env=environment(), start_new_session=True, **pipes)
        while not (directories[0] / "waiting").exists():
            assert process.poll() is None
            time.sleep(0.05)
        os.killpg(process.pid, number)
        _, errors = process.communicate()
        return arguments, directories, process.returncode, errors

    return interrupt


@pytest.mark.parametrize(
    "number",
    [signal.SIGINT, *(pytest.param(number, marks=pytest.mark.slow) for number in (signal.SIGTERM, signal.SIGHUP))],
)
def test_an_interrupted_sweep_stops_its_workers_and_resumes(number, interrupted):
    arguments, directories, status, errors = interrupted(number)
    assert status == 128 + number
    assert errors == "attn-research: stopped; the same command resumes the missing runs from their last checkpoints\n"
    for directory in directories:
        with lock_run(directory):
            directory.mkdir(exist_ok=True)
            (directory / "go").touch()
    assert main(arguments) == 0


def test_the_workers_of_a_killed_sweep_end_with_it(interrupted):
    _, directories, status, _ = interrupted(signal.SIGKILL)
    assert status == -signal.SIGKILL
    while is_busy(directories[0]):
        time.sleep(0.05)


def is_busy(directory: Path) -> bool:
    try:
        with lock_run(directory):
            return False
    except RunLockedError:
        return True


def test_a_run_cannot_train_twice_at_once(capsys, tmp_path):
    with lock_run(Path("runs") / digest(Config())):
        assert main(["train", "dates.py"]) == 2
    assert "another process is training runs/" in capsys.readouterr().err


def test_training_prints_steps_and_final_metrics(capsys):
    arguments = ["train", "dates.py", "data.task=fake", "train.steps=100"]
    assert main(arguments) == 0
    lines = capsys.readouterr().out.split("\n")
    assert lines[:2] == ["step 50/100: loss 1", "step 100/100: loss 1"]
    assert lines[-4] == "dev: exact 98.1, token 99.0, loss 0.1"
    assert lines[-2].startswith("run: runs/")


def test_failed_training_saves_its_traceback(capsys):
    assert main(["train", "dates.py", "data.task=fake(how='raise')"]) == 1
    (file,) = Path("runs").glob("*/failure.txt")
    error = capsys.readouterr().err
    assert error.startswith("attn-research: ") and error.count("\n") == 1
    assert error.endswith(f"{fake_runs.RAISES}: RuntimeError: the cat sat (the traceback is in {file})\n")
    assert "in misbehave" in file.read_text()


def test_a_users_error_in_training_is_one_sentence(capsys):
    assert main(["train", "dates.py", "data.task=fake(how='user')"]) == 2
    assert (
        capsys.readouterr().err
        == "attn-research: config field 'seed' is -1, but must be at least 0 and at most 4294967295\n"
    )
    assert not list(Path("runs").glob("*/failure.txt"))


def test_training_a_finished_run_prints_its_metrics(capsys):
    config = override(Config(), {"seed": 4})
    records.write(Path("runs") / digest(config), fake_runs.make_record(config))
    assert main(["train", "dates.py", "--runs", "runs", "seed=4"]) == 0
    assert capsys.readouterr().out == (
        "This run is finished already, on 2000-01-01T00:00:00+00:00.\n"
        "dev: exact 98.1, token 99.0, loss 0.1\n"
        "test: exact 98.1, token 99.0, loss 0.1\n"
        f"run: runs/{digest(config)}\n"
    )
