"""The command `table` with an experiment whose runs are fake."""

import subprocess
import sys
from pathlib import Path

import fake_runs
import pytest
from fake_runs import make_record, make_runs
from user_folder import environment, user_folder  # noqa: F401 (a fixture)

from attn_research.cli import main
from attn_research.config import digest
from attn_research.runs import records
from attn_research.runs.committed import load_committed, save_committed
from attn_research.sweeps.expand import load_experiment

pytestmark = pytest.mark.usefixtures("user_folder")


def test_a_table_from_runs_is_printed_and_written(capsys):
    make_runs()
    assert main(["table", "small.py"]) == 0
    captured = capsys.readouterr()
    assert captured.err == "runs/reports/small.{md,tex,csv}\n"
    assert captured.out == Path("runs/reports/small.md").read_text()
    assert "`general`" in captured.out
    for form in ("md", "tex", "csv"):
        assert main(["table", "small.py", "--format", form]) == 0
        assert capsys.readouterr().out == Path(f"runs/reports/small.{form}").read_text()


def test_a_table_names_missing_runs(capsys):
    make_runs()
    assert main(["table", "small.py", "--add", "model.attention.score=mine.py:cosine"]) == 0
    assert "`mine.py:cosine` has no record of seeds 0, 1, 2 yet." in capsys.readouterr().out


def test_check_compares_a_saved_table_with_its_records(capsys):
    make_runs()
    assert main(["table", "small.py", "--save"]) == 0
    assert capsys.readouterr().out == "results/small.jsonl\nresults/small.md\n"
    assert main(["table", "small.py", "--check"]) == 0
    assert main(["table", "small.py", "--runs", "elsewhere"]) == 0
    assert "`general`" in capsys.readouterr().out
    page = Path("results/small.md")
    page.write_text(page.read_text().replace("general", "generous"))
    assert main(["table", "small.py", "--check"]) == 1
    captured = capsys.readouterr()
    assert "+| `general`" in captured.out
    assert "-| `generous`" in captured.out
    assert captured.err == "attn-research: results/small.md is not the table of its records\n"


def test_verify_says_which_committed_intervals_hold_the_numbers_here(capsys):
    make_runs()
    main(["table", "small.py", "--save"])
    capsys.readouterr()
    assert main(["table", "small.py", "--verify"]) == 0
    assert "2 of 2 numbers are inside the committed intervals." in capsys.readouterr().out
    for config in load_experiment("small.py").runs:
        if config.model.attention.score == "dot":
            records.write(Path("runs") / digest(config), make_record(config, exact=0.5))
    assert main(["table", "small.py", "--seeds", "2", "--verify"]) == 0
    page = capsys.readouterr().out
    assert "| `dot` | 50.0 **outside** [" in page
    assert "1 of 2 numbers are inside the committed intervals." in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "small has no results/small.jsonl; --save writes it"),
        (["train.steps=3"], "--verify needs the experiment as it is committed; only --seeds may change it"),
    ],
)
def test_verify_needs_committed_records(capsys, arguments, message):
    make_runs()
    assert main(["table", "small.py", "--verify", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_readme_shows_the_saved_table(capsys, tmp_path):
    make_runs()
    (tmp_path / "experiments").mkdir()
    (tmp_path / "small.py").rename(tmp_path / "experiments" / "small.py")
    readme = tmp_path / "README.md"
    readme.write_text("Before.\n<!-- table of experiments/results/small.md -->\nold\n<!-- end of table -->\nAfter.\n")
    assert main(["table", "experiments/small.py", "--save"]) == 0
    table = Path("experiments/results/small.md").read_text()
    assert (
        readme.read_text()
        == f"Before.\n<!-- table of experiments/results/small.md -->\n{table}<!-- end of table -->\nAfter.\n"
    )
    assert main(["table", "experiments/small.py", "--check"]) == 0
    readme.write_text(readme.read_text().replace("general", "generous"))
    capsys.readouterr()
    assert main(["table", "experiments/small.py", "--check"]) == 1
    assert capsys.readouterr().err == f"attn-research: {readme} shows another table\n"


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"dirty": True}, "were made with uncommitted changes"),
        ({"dirty": None, "commit": None}, "were made with uncommitted changes"),
        ({"commit": "d" * 40}, "are of several commits (cccccccccc, dddddddddd)"),
    ],
)
def test_save_and_check_reject_untraceable_records(other, message, capsys):
    make_runs()
    main(["table", "small.py", "--save"])
    config = load_experiment("small.py").runs[0]
    flawed = fake_runs.make_record(config, exact=0.9, **other)
    records.write(Path("runs") / digest(config), flawed)
    capsys.readouterr()
    assert main(["table", "small.py", "--save"]) == 2
    assert message in capsys.readouterr().err
    stored = load_committed("results/small.jsonl")
    save_committed("results/small.jsonl", [flawed, *(r for r in stored if r["id"] != flawed["id"])])
    assert main(["table", "small.py", "--check"]) == 1
    assert message in capsys.readouterr().err


def test_a_closed_pipe_is_no_error():
    make_runs()
    shell = f"{sys.executable} -m attn_research table small.py | true; exit ${{PIPESTATUS[0]}}"
    process = subprocess.run(["bash", "-c", shell], env=environment(), capture_output=True, text=True)
    assert process.returncode == 0
    assert "Traceback" not in process.stderr
