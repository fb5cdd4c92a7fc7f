"""Exit statuses: no status 0 if work was lost, whatever happens to output, folder or runs."""

import os
import subprocess
import sys
from pathlib import Path

import fake_runs
import pytest
from fake_runs import make_runs
from user_folder import environment, user_folder  # noqa: F401 (a fixture)

from attn_research.cli import main
from attn_research.commands import console
from attn_research.config import Config, digest
from attn_research.runs import records
from attn_research.sweeps import local
from attn_research.sweeps.expand import load_experiment

pytestmark = pytest.mark.usefixtures("user_folder")
COMMAND = "import sys; from attn_research.sweeps import local; from attn_research.cli import main; \
local.TARGET = 'fake_runs:run'; import fake_runs; \
from attn_research.data.task import tasks; tasks.functions['fake'] = fake_runs.fake; sys.exit(main())"


def shell(line, **more):
    """Runs a line of bash in a subprocess, with `A` as the program; returns status, output and errors."""
    script = f'A=\'{sys.executable} -c "$COMMAND"\'; A() {{ {sys.executable} -c "$COMMAND" "$@"; }}; {line}'
    return subprocess.run(
        ["bash", "-c", script], env=environment() | {"COMMAND": COMMAND} | more, capture_output=True, timeout=300
    )


OUTPUTS = ["| head -1; exit ${PIPESTATUS[0]}", "> /dev/full 2> /dev/full"]
MORE = ["| true; exit ${PIPESTATUS[0]}", ">&-", "> /dev/full", "2>&-", ">&- 2>&-", "2> /dev/full"]
OUTPUTS += [pytest.param(output, marks=pytest.mark.slow) for output in MORE]


@pytest.mark.parametrize(
    ("command", "runs"),
    [("sweep small.py --jobs 2 seed=0", 2), ("train dates.py data.task=fake train.steps=100", 1)],
)
@pytest.mark.parametrize("output", OUTPUTS)
def test_runs_finish_whatever_happens_to_the_output(command, runs, output):
    result = shell(f"A {command} {output}")
    assert result.returncode == 0, result.stderr
    assert b"Traceback" not in result.stderr and b"Exception ignored" not in result.stderr
    assert len(records.load_runs("runs")) == runs


def test_a_closed_pipe_does_not_hide_a_failed_run():
    result = shell("A sweep small.py seed=0 data.task=\"fake(how='raise')\" | head -1; exit ${PIPESTATUS[0]}")
    assert result.returncode == 1
    assert b"2 of 2 runs failed" in result.stderr
    make_runs()
    assert shell("A table small.py --save > saved").returncode == 0
    Path("results/small.md").write_text("other\n" * 100_000)
    assert shell("A table small.py --check | true; exit ${PIPESTATUS[0]}").returncode == 1


def test_a_table_ignores_a_closed_pipe_and_reports_a_full_disk():
    make_runs()
    result = shell("A table small.py | true; exit ${PIPESTATUS[0]}")
    assert (result.returncode, result.stderr) == (0, b"runs/reports/small.{md,tex,csv}\n")
    result = shell("A table small.py > /dev/full")
    assert result.returncode == 1
    assert result.stderr.endswith(b"attn-research: standard output: No space left on device\n")
    assert shell("A --help > /dev/full; A train --help | true").stderr.count(b"Traceback") == 0


@pytest.mark.parametrize("locale", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}])
def test_output_is_utf8_in_every_locale(locale):
    (config,) = load_experiment("small.py", {"seed": 0, "model.attention.score": "dot"}).runs
    records.write(Path("runs") / digest(config), fake_runs.make_record(config))
    result = shell("A table small.py > out.md", **locale)
    assert (result.returncode, result.stderr) == (0, b"runs/reports/small.{md,tex,csv}\n")
    assert "–" in Path("out.md").read_text(encoding="utf-8")


def test_an_unwritable_runs_folder_is_reported_before_the_first_run(capsys):
    Path("file").touch()
    for command in ("sweep small.py", "train dates.py"):
        for folder in ("file", "file/below", "/proc/none"):
            assert main([*command.split(), "data.task=fake", "--runs", folder]) == 2
            captured = capsys.readouterr()
            assert captured.out == "" and captured.err.count("\n") == 1 and folder.split("/")[0] in captured.err


def test_every_run_is_reported_if_no_process_starts(monkeypatch, capsys):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert main(["sweep", "small.py", "--jobs", "2"]) == 1
    captured = capsys.readouterr()
    assert captured.out.count(": failed: /nowhere/python: No such file or directory (runs/") == 6
    assert captured.err == "attn-research: 6 of 6 runs failed; the same command retries them\n"


def test_an_exception_in_a_pool_thread_reaches_the_reader(monkeypatch, tmp_path):
    monkeypatch.setattr(local.RunQueue, "take", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError), local.pool([Config()], tmp_path, 2, "fake_runs:run") as events:
        list(events)


def test_a_run_without_a_record_is_reported(monkeypatch, capsys):
    monkeypatch.setattr(local, "_Worker", lambda *_: Vanishing())
    assert main(["sweep", "small.py", "seed=0", "--jobs", "1"]) == 1
    captured = capsys.readouterr()
    assert captured.err == "attn-research: 2 of 2 runs have no record; the same command trains them\n"


class Vanishing:
    """A worker whose runs end without a record."""

    def execute(self, config, options):
        yield local.Event(config, "started")
        yield local.Event(config, "ended")

    def alive(self):
        return True

    def terminate(self):
        pass

    wait_or_kill = close = terminate


def test_every_command_exits_with_1_after_a_diverged_run(capsys):
    changes = ["data.task=fake(how='diverge')", "train.steps=100"]
    assert main(["train", "dates.py", *changes]) == 1
    captured = capsys.readouterr()
    assert captured.err == "attn-research: the run diverged: loss is nan at step 7\n"
    assert main(["train", "dates.py", *changes]) == 1
    assert capsys.readouterr().out.startswith("This run diverged already, on ")
    arguments = ["small.py", "seed=1", *changes]
    message = "attn-research: 2 of 2 finished runs diverged; "
    assert main(["sweep", *arguments]) == 1
    captured = capsys.readouterr()
    assert captured.out.count("diverged: loss is nan at step 7") == 2 and message in captured.err
    assert main(["sweep", *arguments]) == 1
    captured = capsys.readouterr()
    assert captured.out == "small: 2 runs, 2 done\n" and message in captured.err
    assert main(["sweep", *arguments, "--list"]) == 1
    captured = capsys.readouterr()
    assert captured.out.count("diverged runs/") == 2 and message in captured.err
    assert main(["table", *arguments]) == 1
    captured = capsys.readouterr()
    assert "`dot`, seed 1, diverged at step 100" in captured.out and message in captured.err


def test_a_bug_is_reported_with_its_traceback(monkeypatch, capsys):
    monkeypatch.setattr(records, "load_runs", lambda runs: console.format_metrics(None))
    assert main(["table", "small.py"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("attn-research: this is a bug in attn-research: TypeError: ") and error.count("\n") == 1
    file = Path(error.split("(the traceback is in ")[1].rstrip(")\n"))
    assert "in format_metrics" in file.read_text()
    file.unlink()


def test_an_exception_in_a_users_file_names_its_line(capsys):
    Path("small.py").write_text(Path("small.py").read_text().replace('Table("model.attention.score"', "Table(label"))
    Path("small.py").write_text("def label(config):\n    return config.sed\n" + Path("small.py").read_text())
    make_runs()
    assert main(["table", "small.py"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("attn-research: small.py:2: AttributeError: ") and "sed" in error
    os.unlink(error.split("(the traceback is in ")[1].rstrip(")\n"))
