"""A run with a damaged file gives the right data or an error of one sentence: no other data, no traceback."""

import json
import logging
import shutil

import jax
import numpy as np
import pytest
from damage import contents, damages
from small_models import TINY, logged_metrics

from attn_research.errors import UserError
from attn_research.reports.items import load_item
from attn_research.runs import records
from attn_research.training.loop import run
from attn_research.translator import load


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    directory = tmp_path_factory.mktemp("run")
    run(TINY, directory)
    return directory


@pytest.fixture
def copied(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"


def sentence(error):
    return "\n" not in str(error) and str(error)


@pytest.mark.parametrize("name", ["outputs/test.jsonl", "outputs/attention.npz", "outputs/SHA256SUMS"])
def test_an_item_of_a_damaged_run_is_right_or_an_error(finished, copied, name):
    right = load_item(finished, 1)
    for checked in (True, False):  # earlier versions wrote no checksums
        if not checked:
            (copied / "outputs" / "SHA256SUMS").unlink(missing_ok=True)
        for damage in damages(finished / name, 60) if checked or "SUMS" not in name else ():
            shutil.copy(finished / name, copied / name)
            damage(copied / name)
            try:
                actual = load_item(copied, 1)
            except UserError as error:
                assert str(copied / "outputs") in sentence(error)
                continue
            if checked:
                assert (actual.source, actual.output, actual.references) == (
                    right.source,
                    right.output,
                    right.references,
                )
                assert np.array_equal(actual.weights, right.weights)


def test_a_translator_of_a_damaged_run_is_right_or_an_error(finished, copied):
    """Damages every file that it reads; compares parameters and vocabularies without compiling a search."""
    right = load(finished)
    names = ["config.json", "vocabulary_source.json", "vocabulary_target.json", "SHA256SUMS"]
    best = [path.relative_to(finished) for path in (finished / "checkpoints" / "best").rglob("*") if path.is_file()]
    assert len(best) >= 3
    shutil.rmtree(copied / "checkpoints" / "last")
    for name in [*names, *best]:
        for damage in damages(finished / name, 5):
            shutil.copy(finished / name, copied / name)
            damage(copied / name)
            try:
                actual = load(copied)
            except UserError as error:
                assert str(copied) in sentence(error)
                continue
            assert (actual.config, actual.source, actual.target) == (right.config, right.source, right.target)
            assert jax.tree.all(jax.tree.map(np.array_equal, actual.params, right.params))
        shutil.copy(finished / name, copied / name)


def test_reading_a_run_changes_nothing(finished):
    before = contents(finished)
    load(finished)
    load_item(finished, 0)
    records.read(finished)
    assert contents(finished) == before


def test_damaged_metrics_never_stop_a_run(finished, copied, caplog):
    """The run resumes and keeps all whole lines."""
    (copied / "result.json").unlink()
    for damage in damages(finished / "metrics.jsonl", 8):
        shutil.copy(finished / "metrics.jsonl", copied / "metrics.jsonl")
        damage(copied / "metrics.jsonl")
        with caplog.at_level(logging.WARNING):
            record = run(TINY, copied)
        assert record["parameters_hash"] == records.read(finished)["parameters_hash"]
        assert len(caplog.records) <= 1
        caplog.clear()
        assert len(logged_metrics(copied)) <= len(logged_metrics(finished))
    (copied / "metrics.jsonl").write_text('{"step": 4}\n{"st\n[1]\n{"step": "4"}\n{"step": 99}\n{"step": 8}\n{"half')
    run(TINY, copied)
    assert logged_metrics(copied) == [{"step": 4}, {"step": 8}]


def test_training_rewrites_a_damaged_config_or_vocabulary(finished, copied):
    (copied / "result.json").unlink()
    for name in ("config.json", "vocabulary_source.json", "SHA256SUMS"):
        (copied / name).write_text("")
    run(TINY, copied)
    for name in ("config.json", "vocabulary_source.json", "SHA256SUMS"):
        assert (copied / name).read_bytes() == (finished / name).read_bytes()
    assert json.loads((copied / "config.json").read_text())
