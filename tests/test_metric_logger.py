import json
import struct
import subprocess
import sys
import time

import pytest
from fake_runs import configs

import attn_research.sweeps.execute as execute_module
from attn_research.config import Config, digest, flatten
from attn_research.runs import records
from attn_research.runs.metric_logger import make_logger

BLOCK = 32768
FULL, LAST = 1, 4


@pytest.fixture(autouse=True)
def no_account(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "home/netrc"))
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_DIR", "WANDB_PROJECT", "WANDB_RUN_ID"):
        monkeypatch.delenv(name, raising=False)


def read_back(directory):
    """Yields the records of the newest .wandb file: a LevelDB log with one protocol buffer per record."""
    import wandb
    from wandb.proto.wandb_internal_pb2 import Record

    wandb.teardown()  # waits until the service has written everything
    file = max(directory.rglob("*.wandb"), key=lambda path: path.stat().st_mtime)
    data, at, part = file.read_bytes(), 7, b""
    assert data[:4] == b":W&B"
    while at < len(data):
        if BLOCK - at % BLOCK < 7:  # no space for a header: the rest of the block is padding
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        part += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (FULL, LAST):
            yield Record.FromString(part)
            part = b""


def steps(directory):
    """Returns {step: metrics} of the newest file."""
    history = [record.history for record in read_back(directory) if record.WhichOneof("record_type") == "history"]
    return {entry.step.num: values(entry.item) for entry in history}


def values(items):
    named_values = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}
    return {name: value for name, value in named_values.items() if not name.startswith("_")}


def test_an_offline_run_stores_all_metrics(tmp_path):
    steps = {step: {"loss": 1 / (1 + step), "exact": step / 100} for step in range(0, 100, 10)}
    with make_logger("offline", Config(), tmp_path / "run", "score_functions") as logger:
        for step, metrics in steps.items():
            logger.log(metrics, step)
        logger.finish({"test/exact": 0.97})
    actual = list(read_back(tmp_path / "run"))
    (run,) = (record.run for record in actual if record.WhichOneof("record_type") == "run")
    assert (run.run_id, run.run_group, run.project) == (digest(Config()), "score_functions", "attn-research")
    assert values(run.config.update) == flatten(Config())
    history = [record.history for record in actual if record.WhichOneof("record_type") == "history"]
    assert {entry.step.num: values(entry.item) for entry in history} == steps
    summaries = [values(record.summary.update) for record in actual if record.WhichOneof("record_type") == "summary"]
    assert {"test/exact": 0.97} in summaries
    (end,) = (record.exit for record in actual if record.WhichOneof("record_type") == "exit")
    assert end.exit_code == 0


def log_lines(directory, steps):
    for step in steps:
        with (directory / "metrics.jsonl").open("a") as file:
            print(json.dumps({"step": step, "loss": 1 / step, "seconds": 1.5}), file=file)


@pytest.mark.parametrize("left", [4, None])
def test_the_last_folder_of_a_resumed_offline_run_has_all_steps(tmp_path, left):
    """`left` is the first step of the second process, or None if no step is left."""
    with pytest.raises(KeyboardInterrupt), make_logger("offline", Config(), tmp_path) as logger:
        for step in (1, 2, 3):
            log_lines(tmp_path, [step])
            logger.log({"loss": 1 / step}, step)
        raise KeyboardInterrupt
    assert steps(tmp_path) == {step: {"loss": 1 / step} for step in (1, 2, 3)}
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write("damaged\n[]\n")
    time.sleep(1.1)  # wandb names folders by the second
    with make_logger("offline", Config(), tmp_path) as logger:
        if left:
            log_lines(tmp_path, [left])
            logger.log({"loss": 1 / left}, left)
        logger.finish({})
    assert steps(tmp_path) == {step: {"loss": 1 / step} for step in (1, 2, 3, *([left] if left else []))}


class Failing:
    """A wandb run whose method `broken` raises."""

    def __init__(self, broken):
        self.broken, self.calls = broken, []
        self.summary = self

    def _call(self, name):
        self.calls.append(name)
        if name == self.broken:
            raise RuntimeError("the service\nis gone")

    def log(self, *_, **__):
        self._call("log")

    def update(self, *_):
        self._call("update")

    def finish(self, **_):
        self._call("finish")


@pytest.mark.parametrize("broken", ["import", "init", "log", "update", "finish"])
@pytest.mark.parametrize("mode", ["offline", "online"])
def test_a_run_continues_if_any_call_of_wandb_fails(broken, mode, tmp_path, monkeypatch, caplog):
    import wandb

    def init(**_):
        if broken == "init":
            raise wandb.errors.CommError("no network")
        return Failing(broken)

    monkeypatch.setattr(wandb, "init", init)
    if broken == "import":
        monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.setattr(execute_module, "enable_compilation_cache", lambda: None)
    reported, (config,) = [], configs("fake")
    execute_module.execute_run("fake_runs:run", config, tmp_path, reported.append, mode)
    assert records.is_done(tmp_path, config) and len(reported) == 2
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith("wandb fails (") and message.endswith("its directory has all metrics")
    assert "\n" not in message


def test_a_failure_of_wandb_does_not_hide_a_failure_of_the_run(tmp_path, monkeypatch):
    import wandb

    monkeypatch.setattr(wandb, "init", lambda **_: Failing("finish"))
    monkeypatch.setattr(execute_module, "enable_compilation_cache", lambda: None)
    with pytest.raises(RuntimeError, match="the cat sat"):
        execute_module.execute_run(
            "fake_runs:run", *configs("fake(how='raise')"), tmp_path, lambda numbers: None, "offline"
        )


def test_an_exception_marks_the_wandb_run_as_failed(tmp_path):
    with pytest.raises(KeyboardInterrupt), make_logger("offline", Config(), tmp_path) as logger:
        logger.log({"loss": 1.0}, 0)
        raise KeyboardInterrupt
    (end,) = (record.exit for record in read_back(tmp_path) if record.WhichOneof("record_type") == "exit")
    assert end.exit_code == 1


def test_online_without_an_account_is_one_sentence(tmp_path):
    with pytest.raises(ValueError, match=r"^wandb cannot log online: .*; the mode 'offline' needs no account$"):
        make_logger("online", Config(), tmp_path)


def test_an_unknown_mode_is_rejected(tmp_path):
    with pytest.raises(ValueError, match=r"no wandb mode 'ofline'; .*did you mean offline\?"):
        make_logger("ofline", Config(), tmp_path)


def test_off_writes_nothing_and_imports_no_wandb(tmp_path):
    code = (
        "import sys; from attn_research.config import Config\n"
        "from attn_research.runs.metric_logger import make_logger\n"
        f"with make_logger('off', Config(), {str(tmp_path / 'run')!r}, 'group') as logger:\n"
        "    logger.log({'loss': 1.0}, 0); logger.finish({})\n"
        "assert 'wandb' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert not (tmp_path / "run").exists()


class Recorder:
    """A logger that stores all calls."""

    def __init__(self, *arguments):
        self.arguments, self.logged, self.summary = arguments, [], None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def log(self, metrics, step):
        self.logged.append((step, metrics))

    def finish(self, summary):
        self.summary = summary


def test_a_run_logs_steps_and_summary(tmp_path, monkeypatch):
    recorders, (config,) = [], configs("fake")
    monkeypatch.setattr(execute_module, "enable_compilation_cache", lambda: None)
    monkeypatch.setattr(
        execute_module, "make_logger", lambda *words: recorders.append(Recorder(*words)) or recorders[0]
    )
    execute_module.execute_run("fake_runs:run", config, tmp_path, lambda numbers: None, "offline", "scores")
    (recorder,) = recorders
    assert recorder.arguments == ("offline", config, tmp_path, "scores")
    assert recorder.logged == [(50, {"loss": 1.0}), (100, {"loss": 1.0})]
    assert recorder.summary["test/exact"] == 0.981
