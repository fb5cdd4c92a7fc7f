"""A user's working directory for command line tests, and the environment of subprocesses."""

import os
import sys

import fake_runs
import pytest

import attn_research.sweeps.execute as execute_module
from attn_research.data.task import tasks
from attn_research.sweeps import local

EXPERIMENT = """
from attn_research.config import Config, override
from attn_research.reports.tables import Table

def runs():
    for score in ("dot", "general"):
        for seed in range(3):
            yield override(Config(), {"data.task": "fake", "model.attention.score": score, "seed": seed})

table = Table("model.attention.score", ("test/exact", "parameters"))
"""
SCORES = "def cosine(param, keys, query_size):\n    return lambda query, history: (keys * query[:, None]).sum(-1)\n"


@pytest.fixture
def user_folder(tmp_path, monkeypatch):
    """Changes to a folder with an experiment, a config and a score. `fake_runs.run` replaces training."""
    (tmp_path / "small.py").write_text(EXPERIMENT)
    (tmp_path / "dates.py").write_text("from attn_research.config import Config\nconfig = Config()\n")
    (tmp_path / "broken.py").write_text("from attn_research.config import Config\n\nconfig = Confi()\n")
    (tmp_path / "mine.py").write_text(SCORES)
    (tmp_path / "results").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(local, "TARGET", "fake_runs:run")
    monkeypatch.setitem(tasks.functions, "fake", fake_runs.fake)
    monkeypatch.setenv("ATTN_RESEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(execute_module, "enable_compilation_cache", lambda: None)
    return tmp_path


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
