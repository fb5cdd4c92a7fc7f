"""The code in a run directory runs only with trust, and as it was when the run was made."""

import json
import shutil
from pathlib import Path

import fake_runs
import pytest
from small_models import write_untrained_run

from attn_research import user_modules
from attn_research.cli import main
from attn_research.config import Config, override
from attn_research.runs import identity, records
from attn_research.runs.identity import warn_versions
from attn_research.runs.trust import with_own_code
from attn_research.translator import load

SCORE = """
from pathlib import Path
import helper
Path(r"{marker}").touch()
def mine(param, keys, query_size, scale: float = 1.0):
    return lambda query, history: helper.SIGN * scale * (keys * query[:, None]).sum(-1)
"""
CODE = "code/model.attention.score/score.py"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """An untrained run with a user's score and its helper; both files are in the folder `there`."""
    monkeypatch.setattr(user_modules, "_modules", {})
    there, directory = tmp_path / "there", tmp_path / "run"
    there.mkdir()
    (there / "score.py").write_text(SCORE.format(marker=tmp_path / "imported"))
    (there / "helper.py").write_text("SIGN = 1\n")
    write_untrained_run(directory, score=f"{there}/score.py:mine(scale=2.0)")
    (tmp_path / "lines.txt").write_text("a b c\n")
    (tmp_path / "imported").unlink()
    monkeypatch.setattr(user_modules, "_modules", {})
    return directory


def translate(run, *options):
    return main(["translate", str(run), "--input", str(run.parent / "lines.txt"), *options])


def test_untrusted_user_code_is_named_and_does_not_run(run, capsys):
    assert translate(run) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "score.py:mine" in error and f"would run the code in {run / CODE}; --trust" in error
    assert "edited" not in error
    (run.parent / "there" / "helper.py").write_text("SIGN = -1\n")
    with pytest.raises(ValueError, match=r"helper\.py of model\.attention\.score was edited since; --trust allows"):
        load(run)
    assert not (run.parent / "imported").exists()


def test_trusted_code_is_the_runs_own_copy(run, capsys):
    """The original file is edited, then removed. A copied run uses its own copy of the code."""
    config = override(Config(), json.loads((run / "config.json").read_text()))

    def code_file(directory):
        spec = with_own_code(config, directory, trust=True).model.attention.score
        assert spec.hyper == {"scale": 2.0}
        return spec.module

    assert code_file(run) == str(run / CODE)
    (run.parent / "there" / "helper.py").write_text("raise SystemExit\n")
    assert translate(run, "--trust") == 0
    captured = capsys.readouterr()
    assert captured.out.count("\n") == 1
    assert "is used with the code that it was made with, though helper.py of model.attention.score was" in captured.err
    shutil.rmtree(run.parent / "there")
    moved = Path(shutil.move(run, run.parent / "a (moved) run"))
    assert code_file(moved) == str(moved / CODE)
    assert translate(moved, "--trust") == 0
    assert capsys.readouterr() == (captured.out, "")


def test_an_edited_copy_does_not_run(run):
    (run / CODE).write_text("raise SystemExit\n")
    with pytest.raises(ValueError, match=r"score\.py is missing or was edited"):
        load(run, trust=True)


def test_a_run_without_an_identity_uses_the_file_in_its_record(run):
    (run / "identity.json").unlink()
    config = override(Config(), json.loads((run / "config.json").read_text()))
    with pytest.raises(ValueError, match="has no copy of its user code"):
        with_own_code(config, run, trust=True)
    spec = config.model.attention.score
    code = {spec: user_modules.read(spec.module).hashes()["score.py"]}
    records.write(run, fake_runs.make_record(config, user_code=code))
    assert with_own_code(config, run, trust=True) == config
    with pytest.raises(ValueError, match=r"would run the code in .*there/score\.py; --trust"):
        with_own_code(config, run, trust=False)


def test_other_versions_and_missing_records_are_reported(run, caplog):
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | {"model.attention.score": "general"}))
    then = identity.read(run)
    identity.write(run, then._replace(versions=then.versions | {"jax": "0.1"}, code={}), {})
    warn_versions(run)
    assert f"{run} was made with other versions: jax was 0.1 and is" in caplog.text
    (run / "identity.json").unlink()
    warn_versions(run)
    assert "has no recorded identity" in caplog.text


def test_a_variant_inside_another_one_is_user_code_too(run, monkeypatch):
    """A score that is a hyperparameter of a built-in one is stored, hashed and trusted like any other."""
    inner, directory = f"{run.parent}/there/score.py:mine(scale=2.0)", run.parent / "inner"
    write_untrained_run(directory, score=f'relative(score="{inner}")')
    (run.parent / "imported").unlink()
    monkeypatch.setattr(user_modules, "_modules", {})
    with pytest.raises(ValueError, match=r"code/model\.attention\.score\.score/score\.py; --trust allows"):
        load(directory)
    assert not (run.parent / "imported").exists()
    shutil.rmtree(run.parent / "there")
    assert load(directory, trust=True).translate(["a b c"])
    (directory / "code/model.attention.score.score/score.py").write_text("raise SystemExit\n")
    with pytest.raises(ValueError, match=r"is missing or was edited"):
        load(directory, trust=True)
