import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import fake_runs
import pytest
from fake_runs import configs
from user_folder import user_folder  # noqa: F401 (a fixture)

from attn_research.cli import main
from attn_research.config import Config, digest, override
from attn_research.errors import describe
from attn_research.registry import Registry
from attn_research.runs import records
from attn_research.runs.compilation_cache import cache_directory
from attn_research.runs.environment import FAST_ENV
from attn_research.sweeps import local
from attn_research.sweeps.execute import RunLockedError, lock_run
from attn_research.sweeps.expand import labels, load_experiment, programs_first
from attn_research.sweeps.local import RunQueue, cores, pool

EXPERIMENT = """
from attn_research.config import Config, override

def runs():
    for score in ("dot", "general"):
        for seed in range(3):
            yield override(Config(), {"model.attention.score": score, "seed": seed})

table = "a table"
"""


@pytest.fixture
def experiment(tmp_path):
    file = tmp_path / "small.py"
    file.write_text(EXPERIMENT)
    return file


def test_an_experiment_has_distinct_configs_with_first_seeds_first(experiment):
    actual = load_experiment(experiment)
    order = [(str(config.model.attention.score), config.seed) for config in actual.runs]
    assert order == [("dot", 0), ("general", 0), ("dot", 1), ("general", 1), ("dot", 2), ("general", 2)]
    assert (actual.name, actual.table, actual.published) == ("small", "a table", {})


def test_changes_apply_to_all_runs_and_merge_equal_ones(experiment):
    actual = load_experiment(experiment, {"train.steps": 7, "seed": 5})
    assert [(config.train.steps, config.seed) for config in actual.runs] == [(7, 5), (7, 5)]


def test_an_addition_has_all_seeds_once(experiment):
    actual = load_experiment(experiment, {}, [{"model.attention.score": "concat"}, {"model.attention.score": "dot"}])
    assert len(actual.runs) == 9
    added = [config for config in actual.runs if config.model.attention.score == "concat"]
    assert [config.seed for config in added] == [0, 1, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "{file} is not an experiment: it does not define runs and table"),
        ("def runs(): return []", "{file} is not an experiment: it does not define table"),
        ("table = 1\ndef runs(): return []", "{file} has no runs: its runs() yields nothing"),
        ("table = 1\ndef runs(): yield 3", "{file}: runs() yields 3, which is not a Config"),
        ("table = 1\n\ndef runs():\n    yield nothing", "{file}:4: NameError: name 'nothing' is not defined"),
        ("import nothing_at_all", "{file}:1: ModuleNotFoundError: No module named 'nothing_at_all'"),
        ("def runs(:", "{file}: SyntaxError: invalid syntax (small.py, line 1)"),
        (
            "from attn_research.config import *\ntable = 1\n\ndef runs(): yield override(Config(), {'sed': 1})",
            "{file}:4: config has no field 'sed'; known: ",
        ),
        (
            "from attn_research.config import *\ntable = 1\ndef runs(): yield Config(seed='x')",
            "{file}:3: config field 'seed' of Config is 'x', but must be of type int",
        ),
    ],
)
def test_an_invalid_experiment_is_reported_in_one_sentence(tmp_path, text, message):
    file = tmp_path / "small.py"
    file.write_text(text)
    with pytest.raises(ValueError) as caught:
        load_experiment(file)
    assert str(caught.value).startswith(message.format(file=file))


def test_first_seeds_come_first_whatever_the_seeds_are():
    runs = [override(Config(), {"seed": seed, "train.steps": steps}) for steps in (1, 2) for seed in (7, 3)]
    assert [(run.train.steps, run.seed) for run in programs_first(runs)] == [(1, 7), (2, 7), (1, 3), (2, 3)]


def test_labels_show_only_differences():
    axes = [{"model.attention.score": score, "seed": seed} for score in ("dot", "concat") for seed in (0, 1)]
    runs = [override(Config(), changes) for changes in axes]
    assert list(labels(runs).values()) == ["dot seed=0", "dot seed=1", "concat seed=0", "concat seed=1"]
    axis = [override(runs[seed], {"model.attention.heads": 2}) for seed in (0, 1)]
    assert list(labels([*runs, *axis]).values())[-2:] == ["heads=2 seed=0", "heads=2 seed=1"]  # most configs have dot
    cells = [override(Config(), {"model.encoder.cell": a, "model.decoder.cell": "gru"}) for a in ("rnn", "gru")]
    assert list(labels(cells).values()) == ["rnn", "gru"]
    both = [override(Config(), {"model.encoder.hidden": size, "model.decoder.hidden": 2 * size}) for size in (1, 2)]
    assert list(labels(both).values()) == ["encoder.hidden=1 decoder.hidden=2", "encoder.hidden=2 decoder.hidden=4"]
    assert list(labels([Config()]).values()) == ["run"]


def test_a_run_belongs_to_one_process(tmp_path):
    with lock_run(tmp_path / "run"):
        with pytest.raises(RunLockedError, match="another process is training"), lock_run(tmp_path / "run"):
            raise AssertionError("held twice")
        with lock_run(tmp_path / "other"):
            assert not (tmp_path / "run").exists()
    with lock_run(tmp_path / "run"):
        pass


def test_the_cache_directory_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("ATTN_RESEARCH_CACHE", raising=False)
    assert cache_directory().is_relative_to(tmp_path / "xdg" / "attn-research")
    monkeypatch.setenv("ATTN_RESEARCH_CACHE", str(tmp_path / "mine"))
    assert cache_directory().is_relative_to(tmp_path / "mine")


def caught(function, *arguments):
    try:
        function(*arguments)
    except Exception as error:
        return error


def raises(error):
    raise error


def test_errors_are_described_in_one_sentence():
    assert describe(caught(override, Config(), {"seed": -1})).startswith(
        "config field 'seed' is -1, but must be at least 0"
    )
    assert re.fullmatch(
        r"\S+test_sweeps.py:\d+: ValueError: so it is", describe(caught(raises, ValueError("so it is\nat")))
    )
    assert describe(MemoryError()) == "not enough memory (MemoryError)"
    assert describe(OSError(28, "No space left on device", "a file")) == "a file: No space left on device"
    assert describe(caught(digest, None)).startswith("this is a bug in attn-research: TypeError: ")


def ends(runs, directory, jobs=2):
    """Returns (kind, error) of the last event of each run."""
    with pool(runs, directory, jobs, "fake_runs:run") as events:
        return {event.config: (event.kind, event.error) for event in events if event.kind not in ("started", "report")}


def test_a_failed_run_does_not_affect_others(tmp_path):
    bad = configs("fake(how='kill')", "fake(how='raise')", "fake(how='memory')", "fake(how='user')", "fake(how='exit')")
    good = configs("fake", "fake(n=1)", "fake(n=2)")
    actual = ends([good[0], *bad, *good[1:]], tmp_path)
    assert [(kind, error.split("tests/")[-1]) for kind, error in map(actual.get, bad)] == [
        ("failed", "its process was ended by SIGKILL (by a user, or by the system because memory ran out)"),
        ("failed", f"{fake_runs.RAISES}: RuntimeError: the cat sat"),
        ("failed", "not enough memory (MemoryError)"),
        ("failed", "config field 'seed' is -1, but must be at least 0 and at most 4294967295"),
        ("failed", "its process ended with status 3"),
    ]
    assert all(actual[config] == ("ended", "") for config in good)
    assert all(records.is_done(tmp_path / digest(config), config) for config in good)
    texts = [(tmp_path / digest(config) / "failure.txt").read_text() for config in bad]
    assert all("printed before anything happens" in text for text in texts[1:-1])
    assert "RuntimeError: the cat sat\non the keyboard" in texts[1]
    assert not any((tmp_path / digest(config) / "failure.txt").exists() for config in good)


def test_one_worker_makes_many_runs_on_its_own_core(tmp_path):
    runs = configs("fake", "fake(n=1)", "fake(n=2)")
    ends(runs, tmp_path, jobs=1)
    calls = {(tmp_path / digest(config) / "calls.txt").read_text() for config in runs}
    assert len(calls) == 1
    assert calls.pop().split()[1] == "1"


def test_a_worker_gets_runs_whose_program_it_has_compiled():
    runs = configs("fake", "fake(n=1)", "fake(n=2)")
    again = [override(config, {"seed": 1}) for config in runs]
    waiting = RunQueue([*runs, *again])
    assert [waiting.take(worker) for worker in (0, 1, 0)] == runs
    assert [waiting.take(worker) for worker in (1, 0)] == [again[1], again[0]]
    assert waiting.take(1) == again[2]  # other programs, because nothing else is left
    assert waiting.take(0) is None


@pytest.mark.parametrize("name", FAST_ENV)
def test_the_users_environment_overrides_that_of_workers(monkeypatch, name):
    monkeypatch.delenv(name, raising=False)
    assert local._environment()[name] == FAST_ENV[name]
    monkeypatch.setenv(name, "")
    assert local._environment()[name] == ""


@pytest.mark.parametrize("set_by_user", [{}, {"XLA_FLAGS": ""}])
def test_a_restarted_process_has_the_fast_environment(set_by_user):
    code = "import os, sys; print(sys.argv[1], *(os.environ[name] for name in FAST_ENV), sep='|')"
    program = f"from attn_research.runs.environment import FAST_ENV, restart_process; restart_process(); {code}"
    others = {name: value for name, value in os.environ.items() if name not in FAST_ENV}
    command = [sys.executable, "-c", program, "an argument"]
    out = subprocess.run(command, env=others | set_by_user, capture_output=True, text=True, check=True).stdout
    assert out.strip().split("|") == ["an argument", *(FAST_ENV | set_by_user).values()]


def test_reports_reach_the_sweep(tmp_path):
    with pool(configs("fake"), tmp_path, 1, "fake_runs:run") as events:
        actual = [(event.kind, dict(event.numbers)) for event in events]
    reports = [("report", {"step": step, "steps": 100, "loss": 1.0}) for step in (50, 100)]
    assert actual == [("started", {}), *reports, ("ended", {})]


def test_a_successful_run_removes_its_failure_file(tmp_path):
    (config,) = configs("fake")
    (tmp_path / digest(config)).mkdir()
    (tmp_path / digest(config) / "failure.txt").touch()
    assert ends([config], tmp_path) == {config: ("ended", "")}
    assert not (tmp_path / digest(config) / "failure.txt").exists()


def test_a_killed_worker_loses_only_its_run(tmp_path):
    waiting, other = configs("fake(how='wait')", "fake")
    actual = {}
    with pool([waiting, other], tmp_path, 1, "fake_runs:run") as events:
        for event in events:
            actual[event.config] = event.kind
            if event.config == waiting and event.numbers.get("step") == 100:
                os.kill(int((tmp_path / digest(waiting) / "calls.txt").read_text().split()[0]), signal.SIGKILL)
    assert actual == {waiting: "failed", other: "ended"}


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def test_leaving_the_pool_early_ends_workers_without_failures(tmp_path):
    runs = configs("fake(how='wait')", "fake(how='wait', n=1)", "fake")
    with pool(runs, tmp_path, 2, "fake_runs:run") as events:
        reported = set()
        while len(reported) < 2:
            event = next(events)
            reported |= {event.config} if event.kind == "report" else set()
    workers = [int((tmp_path / digest(config) / "calls.txt").read_text().split()[0]) for config in runs[:2]]
    assert not any(alive(worker) for worker in workers)
    assert not list(tmp_path.glob("*/failure.txt"))
    assert not (tmp_path / digest(runs[2])).exists()


def test_a_run_of_another_process_is_skipped(tmp_path):
    mine, locked = configs("fake", "fake(n=1)")
    with lock_run(tmp_path / digest(locked)):
        actual = ends([locked, mine], tmp_path)
    assert actual[mine] == ("ended", "")
    assert actual[locked][0] == "busy"
    assert not (tmp_path / digest(locked)).exists()


def test_a_finished_run_is_not_made_again(tmp_path):
    (config,) = configs("fake")
    records.write(tmp_path / digest(config), fake_runs.make_record(config))
    assert ends([config], tmp_path) == {config: ("ended", "")}
    assert not (tmp_path / digest(config) / "calls.txt").exists()


def test_more_jobs_than_cores_share_them(tmp_path):
    runs = configs("fake", "fake(n=1)", "fake(n=2)")
    assert len(ends(runs, tmp_path, jobs=len(cores()) + 1)) == 3


def test_a_listing_reads_every_record_once_and_checks_every_variant_once(user_folder, monkeypatch, capsys):  # noqa: F811
    fake_runs.make_runs()
    reads, binds = Counter(), Counter()
    read, bind = records.read, Registry.bind
    monkeypatch.setattr(records, "read", lambda directory: reads.update([str(directory)]) or read(directory))
    monkeypatch.setattr(Registry, "bind", lambda self, spec: binds.update([(self.kind, spec)]) or bind(self, spec))
    assert main(["sweep", "small.py", "--list"]) == 0
    assert capsys.readouterr().out.count("done     runs/") == 6
    assert set(reads.values()) == {1} and len(reads) == 6
    few = binds.total()
    assert main(["sweep", "small.py", "--list", "--seeds", "300", "--runs", "none"]) == 0
    assert capsys.readouterr().out.count("missing  none/") == 600
    assert binds.total() - few <= few
