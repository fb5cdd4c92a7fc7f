"""The selection of records for tables and figures. Records are data: no file that they name is imported."""

from pathlib import Path

import fake_runs
import pytest
from user_folder import user_folder  # noqa: F401 (a fixture)

from attn_research.cli import main
from attn_research.config import Config, digest, flatten, override
from attn_research.runs import records
from attn_research.sweeps.expand import load_experiment

pytestmark = pytest.mark.usefixtures("user_folder")
MARKER = "from pathlib import Path\nPath('imported').touch()\ndef evil(param, keys, query_size): ...\n"


def write(config, **other):
    directory = Path("runs") / digest(config)
    records.write(directory, fake_runs.make_record(config) | other)
    return directory


def runs(*added):
    return load_experiment("small.py", {}, [{"model.attention.score": score} for score in added]).runs


def with_identity(config, **other):
    return {"identity": fake_runs.make_record(config)["identity"] | other}


@pytest.mark.parametrize("command", ["table", "figure"])
def test_no_file_that_a_record_names_is_imported(command, capsys):
    fake_runs.make_runs()
    Path("evil.py").write_text(MARKER)
    record = fake_runs.make_record(Config())
    named = flatten(override(Config(), {"model.attention.score": "evil.py:evil", "data.task": "evil.py:evil"}))
    for known in ({"identity": None}, {}):
        records.write("runs/from_elsewhere", record | {"config": named, "user_code": {"evil.py:evil": "0"}} | known)
        main([command, "small.py"])
    assert not Path("imported").exists()


def test_records_of_edited_code_are_left_out_with_a_note(capsys):
    fake_runs.make_runs()
    configs = [config for config in runs("mine.py:cosine") if config.model.attention.score == "mine.py:cosine"]
    for config in configs[:2]:
        write(config)
    Path("mine.py").write_text(Path("mine.py").read_text() + "\n")
    write(configs[2])
    assert main(["table", "small.py", "--add", "model.attention.score=mine.py:cosine"]) == 0
    out = capsys.readouterr().out
    for seed in (0, 1):
        message = (
            f"`mine.py:cosine`, seed {seed}, is left out: mine.py of model.attention.score was edited since it was"
        )
        assert message in out
    assert "has no record of" not in out


def test_a_figure_of_edited_code_is_rejected(capsys):
    (config,) = [config for config in runs("mine.py:cosine") if str(config.model.attention.score) == "mine.py:cosine"][
        :1
    ]
    directory = write(config)
    Path("mine.py").write_text(Path("mine.py").read_text() + "\n")
    assert main(["figure", "small.py", "--add", "model.attention.score=mine.py:cosine"]) == 2
    assert f"{directory} cannot be drawn beside the others: mine.py of model" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["table", "figure"])
@pytest.mark.parametrize("by", ["ids", "contents"])
def test_records_of_other_data_are_not_shown_together(command, by, capsys):
    for number, config in enumerate(runs()):
        data = "one" if number else "two"
        write(config, **({"data": data} if by == "ids" else with_identity(config, data={"test": data})))
    status = main([command, "small.py"])
    captured = capsys.readouterr()
    if command == "table":
        assert status == 0
        assert "`dot`, seed 0, is left out: its data of fake differ from those of the other records." in captured.out
    else:
        assert status == 2
        assert "cannot be drawn beside the others: its data of fake differ" in captured.err


def test_other_settings_and_versions_are_reported_below_a_table(capsys):
    for number, config in enumerate(runs()):
        usual = {"versions": {"jaxlib": "1"}, "settings": {"threads": 1, "--xla_a": "1"}}
        other = {"versions": {"jaxlib": "2"}, "settings": {"threads": 2}}
        write(config, **with_identity(config, **(usual if number else other)))
    assert main(["table", "small.py"]) == 0
    message = "`dot` seed 0, with jaxlib 2 instead of 1, threads 2 instead of 1, --xla_a not set instead of 1."
    assert f"- Different versions or settings: {message}" in capsys.readouterr().out


def test_records_without_an_identity_are_shown_with_one_warning(capsys):
    for config in runs():
        write(config, identity=None)
    assert main(["table", "small.py"]) == 0
    captured = capsys.readouterr()
    assert captured.err.count("6 of 6 records of small have no identity") == 1
    assert "Different versions" not in captured.out
