"""The identity of a run: commands that resume or read a run compare it. Nothing is trained here."""

import subprocess
import sys
from pathlib import Path

import fake_runs
import jax
import pytest
from user_folder import environment, user_folder  # noqa: F401 (a fixture)

from attn_research import user_modules
from attn_research.cli import main
from attn_research.config import Config, digest, load, override
from attn_research.data import task
from attn_research.data.fingerprint import fingerprint
from attn_research.errors import UserError
from attn_research.registry import Spec
from attn_research.runs import identity, records
from attn_research.runs.environment import settings, worker_settings
from attn_research.training.run_status import check_run, start_run

pytestmark = pytest.mark.usefixtures("user_folder", "forgetful")
SCORE = "import helper\ndef mine(param, keys, query_size):\n    return lambda query, history: keys[..., 0]\n"


def write_data(text="ab\tA B\n", dev="ab\tA B\n"):
    """Writes a folder `words` with three files."""
    Path("words").mkdir(exist_ok=True)
    for name, lines in (("train", text), ("dev", dev), ("test", dev)):
        (Path("words") / f"{name}.tsv").write_text(lines)
    for cached in (task.load, fingerprint):
        cached.cache_clear()


@pytest.fixture
def forgetful(monkeypatch):
    """A process that has imported no user file yet."""
    monkeypatch.setattr(user_modules, "_modules", {})
    write_data()
    Path("helper.py").write_text("A = 1\n")
    Path("score.py").write_text(SCORE)


CONFIG = override(Config(), {"data.task": 'transduction(path="words")', "model.attention.score": "score.py:mine"})
DIRECTORY = Path("runs") / digest(CONFIG)


def make_started_run(config=CONFIG, **other):
    """Starts a run that is killed after its first checkpoint."""
    start_run(DIRECTORY, config, settings() | other)
    (DIRECTORY / "checkpoints" / "last" / "1").mkdir(parents=True)


def make_finished_run(**other):
    """Makes a finished run."""
    make_started_run(**other)
    result = identity.read(DIRECTORY)._asdict()
    records.write(DIRECTORY, fake_runs.make_record(CONFIG, identity=result))


def compare():
    return check_run(DIRECTORY, CONFIG, settings)


def files():
    return {path: path.read_bytes() for path in sorted(Path("runs").rglob("*")) if path.is_file()}


EDITS = {
    "score.py of model.attention.score was edited": lambda: Path("score.py").write_text(SCORE + "\n"),
    "helper.py of model.attention.score was edited": lambda: Path("helper.py").write_text("A = 2\n"),
    "differ (split train)": lambda: write_data("ab\tA C\n"),
    "differ (split dev, test)": lambda: write_data(dev="ab\tA B\nab\tA C\n"),  # same ids, another reference
}


@pytest.mark.parametrize("message", EDITS)
@pytest.mark.parametrize("make", [make_started_run, make_finished_run])
def test_changed_data_or_code_is_reported_and_nothing_is_written(message, make):
    make()
    assert not compare().conflicts
    before = files()
    EDITS[message]()
    assert [phrase for phrase in compare().conflicts if message in phrase]
    with pytest.raises(ValueError, match=r"made with other data, code or settings.*--fresh trains such a run again"):
        start_run(DIRECTORY, CONFIG, settings())
    assert files() == before


OTHERS = {
    "threads was 99 and is": {"threads": 99},
    "--xla_some_flag was 3 and is not set": {"--xla_some_flag": "3"},
    "jax_default_prng_impl was rbg and is threefry2x32": {"jax_default_prng_impl": "rbg"},
    "jax_enable_x64 was True and is False": {"jax_enable_x64": True},
    "devices was 4 and is 1": {"devices": 4},
}


@pytest.mark.parametrize("message", OTHERS)
def test_changed_settings_stop_a_resume_but_not_a_finished_run(message):
    make_started_run(**OTHERS[message])
    assert [phrase for phrase in compare().conflicts if message in phrase]
    records.write(DIRECTORY, fake_runs.make_record(CONFIG))
    assert not compare().conflicts
    assert [phrase for phrase in compare().differences.environment if message in phrase]


def test_changed_versions_are_reported():
    then = identity.Identity({}, {}, {"jax": "0.1", "flax": "1"}, {}, None)
    differences = identity.compare(then, then._replace(versions={"jax": "0.2", "flax": "1"}), "dates")
    assert differences == ([], ["jax was 0.1 and is 0.2"])


def test_sweep_workers_have_other_threads_and_flags_than_train(monkeypatch):
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    assert worker_settings(pinned=True)["threads"] == 1
    assert worker_settings(pinned=True)["--xla_backend_optimization_level"] == "1"
    assert "--xla_backend_optimization_level" not in settings()
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=x --xla_a=1 --xla_b --xla_a=2")
    flags = {name: value for name, value in settings().items() if name.startswith("--")}
    assert flags == {"--xla_a": "2", "--xla_b": "set"}


def test_options_of_jax_are_read_from_jax():
    with jax.default_matmul_precision("float32"):
        assert settings()["jax_default_matmul_precision"] == "float32"


def test_a_run_without_a_checkpoint_restarts():
    start_run(DIRECTORY, CONFIG, settings())
    write_data("ab\tC\n")
    assert start_run(DIRECTORY, CONFIG, settings()).data == dict(fingerprint(CONFIG.data.task))


def test_a_run_stores_the_source_of_its_code():
    make_started_run()
    folder = DIRECTORY / "code" / "model.attention.score"
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"score.py": SCORE, "helper.py": "A = 1\n"}
    then = identity.read(DIRECTORY)
    assert identity.stored_file(DIRECTORY, then, "model.attention.score") == folder / "score.py"
    (folder / "helper.py").write_text("A = 3\n")
    with pytest.raises(ValueError, match=r"helper\.py is missing or was edited"):
        identity.stored_file(DIRECTORY, then, "model.attention.score")


def test_a_restart_removes_the_code_of_the_earlier_start():
    start_run(DIRECTORY, CONFIG, settings())
    Path("score.py").write_text(SCORE.replace("import helper\n", ""))
    start_run(DIRECTORY, CONFIG, settings())
    assert [path.name for path in (DIRECTORY / "code" / "model.attention.score").iterdir()] == ["score.py"]


def test_a_run_without_an_identity_is_reported(caplog):
    (DIRECTORY / "checkpoints" / "last" / "1").mkdir(parents=True)
    assert start_run(DIRECTORY, CONFIG, settings()) is None
    assert caplog.text.count("has no recorded identity") == 1
    records.write(DIRECTORY, fake_runs.make_record(CONFIG))
    assert not compare().conflicts and not compare().has_identity
    Path("score.py").write_text(SCORE + "\n")
    assert compare().conflicts == ["score.py:mine was edited"]


def test_a_damaged_identity_is_rejected():
    make_started_run()
    (DIRECTORY / "identity.json").write_text("{}")
    assert compare().conflicts == [f"{DIRECTORY}/identity.json is damaged"]


def config_file():
    text = (
        "from attn_research.config import *\nconfig = override(Config(), {'data.task': 'transduction(path=\"words\")'"
    )
    Path("tiny.py").write_text(text + ", 'model.attention.score': 'score.py:mine'})\n")
    assert load("tiny.py") == CONFIG
    return ["train", "tiny.py"]


def test_train_rejects_changed_data_and_fresh_keeps_the_old_run(capsys):
    make_finished_run()
    assert main(config_file()) == 0
    assert capsys.readouterr().out.startswith("This run is finished already")
    before = records.read(DIRECTORY)
    write_data("ab\tC\n")
    assert main(config_file()) == 2
    assert "made with other data, code or settings" in capsys.readouterr().err
    assert records.read(DIRECTORY) == before
    assert main([*config_file(), "--fresh"]) == 0
    (old,) = Path("runs").glob("*.replaced-*")
    assert records.read(old) == before and records.read(DIRECTORY) != before
    assert len(records.load_runs("runs")) == 1


def refuse(*_):
    raise UserError("refused")


def test_a_failed_fresh_start_restores_the_old_run(capsys, monkeypatch):
    make_finished_run()
    monkeypatch.setattr("attn_research.sweeps.local.TARGET", "test_identity:refuse")
    assert main([*config_file(), "--fresh"]) == 2
    assert records.read(DIRECTORY) is not None
    assert not list(Path("runs").glob("*.replaced-*"))


def test_a_fingerprint_covers_every_column_except_places():
    columns = {"source": [["a"], ["b", "c"]], "target": [["A"], ["B"]], "raw": [["x y"], ["z"]]}
    columns |= {"alignment": [[[0, 0]], []], "where": ["f:1", "f:2"], "ceiling": [0.5, 1.0]}
    actual = {}
    changes = {
        "same": {},
        "places": {"where": ["g:1", "g:2"]},
        "raw": {"raw": [["x  y"], ["z"]]},
        "ends": {"raw": [["x"], [" yz"]]},
        "alignment": {"alignment": [[], [[0, 0]]]},
        "source": {"source": [["a", "b"], ["c"]]},
        "ceiling": {"ceiling": [1, 0.5]},
    }
    for name, change in changes.items():
        splits = task.from_columns(dict.fromkeys(("train", "dev", "test"), columns | change))
        Path(f"{name}_task.py").write_text("made = None\ndef data(): return made\n")
        user_modules.load(f"{name}_task.py").made = splits
        actual[name] = fingerprint(Spec(f"{name}_task.py:data"))["train"]
    assert actual.pop("places") == actual["same"]
    assert len(set(actual.values())) == len(actual)


@pytest.mark.slow
def test_a_run_does_not_resume_with_other_jax_settings():
    """Uses subprocesses, because JAX reads its settings when it starts."""
    code = "import sys; from pathlib import Path; from attn_research.config import load, digest; \
from attn_research.runs.environment import settings; \
from attn_research.training.run_status import start_run, check_run; \
c = load('dates.py'); d = Path('runs') / digest(c); start_run(d, c, settings()); \
(d / 'checkpoints/last/1').mkdir(parents=True, exist_ok=True)"

    def error_of_start(**other):
        result = subprocess.run(
            [sys.executable, "-c", code], env=environment() | other, capture_output=True, text=True, check=False
        )
        return result.stderr.splitlines()[-1] if result.returncode else ""

    assert error_of_start() == ""
    assert error_of_start() == ""
    assert "jax_default_prng_impl was threefry2x32 and is rbg" in error_of_start(JAX_DEFAULT_PRNG_IMPL="rbg")
    flags = "--xla_force_host_platform_device_count=4"
    assert f"{flags.partition('=')[0]} was not set and is 4" in error_of_start(XLA_FLAGS=flags)
