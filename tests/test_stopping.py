"""A stopped run that resumes ends like a run that was never stopped. Uses real processes and signals."""

import itertools
import os
import random
import re
import signal
import subprocess
import sys
import time

import pytest
from small_models import TINY, logged_metrics
from user_folder import environment

from attn_research.config import flatten, override
from attn_research.runs import records
from attn_research.runs.signals import ECHO_SECONDS, StopRequest, StopRequested
from attn_research.training.loop import run
from attn_research.translator import load

# Background jobs of a shell ignore SIGINT; the program restores the default handler.
PROGRAM = "import signal; from attn_research.cli import main; \
signal.signal(signal.SIGINT, signal.default_int_handler); main()"
SENTENCE = "attn-research: stopped; the same command resumes from the last checkpoint\n"


def at(number):
    """Returns a stop function that is true once, at its call `number`."""
    questions = itertools.count()
    return lambda: next(questions) == number


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The directory of a run that was not stopped, and the number of its calls of `stop`."""
    directory, questions = tmp_path_factory.mktemp("run"), itertools.count()
    run(TINY, directory, stop=lambda: next(questions) < 0)
    return directory, next(questions)


def same_as(finished, directory):
    whole, record = records.read(finished[0]), records.read(directory)
    assert record["parameters_hash"] == whole["parameters_hash"]
    assert record["splits"] == whole["splits"]
    assert (record["steps"], record["best_step"]) == (whole["steps"], whole["best_step"])
    assert logged_metrics(directory) == logged_metrics(finished[0])


def test_a_run_stopped_anywhere_resumes_to_the_same_end(finished, tmp_path):
    """`stop` is called between steps and between batches of an evaluation."""
    assert finished[1] > 12 + 2
    for number in range(0, finished[1], 2):
        directory = tmp_path / str(number)
        with pytest.raises(StopRequested):
            run(TINY, directory, stop=at(number))
        assert records.read(directory) is None
        run(TINY, directory)
        same_as(finished, directory)


def test_a_run_stopped_repeatedly_resumes_to_the_same_end(finished, tmp_path):
    for number in range(1, 100, 2):
        try:
            run(TINY, tmp_path, stop=at(number))
            break
        except StopRequested:
            continue
    same_as(finished, tmp_path)


def test_a_run_stopped_before_its_first_evaluation_cannot_translate(tmp_path):
    with pytest.raises(StopRequested):
        run(TINY, tmp_path, stop=at(2))
    with pytest.raises(ValueError, match="holds no trained run"):
        load(tmp_path)


def test_a_signal_requests_a_stop_if_polled_and_else_ends_the_process():
    ended = []
    stop = StopRequest(ended.append)
    stop.notify(signal.SIGTERM)
    assert ended == [signal.SIGTERM]
    stop = StopRequest(ended.append)
    assert not stop()
    stop.notify(signal.SIGHUP)
    stop.notify(signal.SIGHUP)  # the same signal again, from a closing terminal
    assert stop() and stop.number == signal.SIGHUP
    assert ended == [signal.SIGTERM]
    time.sleep(ECHO_SECONDS)
    stop.notify(signal.SIGINT)
    assert ended == [signal.SIGTERM, signal.SIGINT]


def test_signal_handlers_are_installed_only_while_listening():
    before, handlers = signal.set_wakeup_fd(-1), [signal.getsignal(signal.SIGHUP), signal.getsignal(signal.SIGTERM)]
    signal.set_wakeup_fd(before)
    with StopRequest(lambda number: None).listen() as stop:
        assert not stop()
        os.kill(os.getpid(), signal.SIGHUP)
        while not stop():
            time.sleep(0.01)
    assert stop.number == signal.SIGHUP
    assert [signal.getsignal(signal.SIGHUP), signal.getsignal(signal.SIGTERM)] == handlers


def train_command(tmp_path, **changes):
    """Writes a config, and returns the command of a training process."""
    config = flatten(override(TINY, changes))
    (tmp_path / "tiny.py").write_text(f"from attn_research.config import unflatten\nconfig = unflatten({config})\n")
    return [sys.executable, "-c", PROGRAM, "train", "tiny.py"]


def start(command, tmp_path):
    return subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment() | {"ATTN_RESEARCH_CACHE": str(tmp_path / "cache"), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_signal_stops_training_with_one_sentence(tmp_path):
    """It stops between two lines of output."""
    command = train_command(tmp_path, **{"train.steps": 10**6, "train.evaluate_every": 10**6})
    process = start(command, tmp_path)
    next(line for line in process.stdout if "step 8/" in line)
    process.send_signal(signal.SIGTERM)
    out, errors = process.communicate()
    assert (process.returncode, without_checkout_warning(errors)) == (128 + signal.SIGTERM, SENTENCE)
    assert not list(tmp_path.glob("runs/*/result.json"))
    last = int(re.findall(r"step (\d+)/", "step 8/" + out)[-1])
    (saved,) = [int(path.name) for path in tmp_path.glob("runs/*/checkpoints/last/*")]
    assert last <= saved < last + 4


def without_checkout_warning(errors):
    """Returns standard error without the warning about a checkout that changes meanwhile."""
    return "".join(line for line in errors.splitlines(keepends=True) if " started at commit " not in line)


@pytest.mark.slow
def test_signals_at_any_moment_lose_nothing(tmp_path):
    """No traceback, no crash, no other numbers. A third of the signals comes right after an evaluation."""
    draw, statuses = random.Random(0), []
    command = train_command(tmp_path, **{"train.steps": 300, "train.evaluate_every": 10})
    process = start([*command, "--runs", "whole"], tmp_path)
    assert process.communicate()[1] == ""
    while not list(tmp_path.glob("runs/*/result.json")):
        process, number = start(command, tmp_path), draw.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
        for _ in range(draw.randrange(1, 12)):
            line = next(process.stdout, "")
        while draw.random() < 0.4 and line and " dev " not in line:
            line = next(process.stdout, "")
        time.sleep(draw.random() * draw.choice([0.01, 0.3]))
        process.send_signal(number)
        _, errors = process.communicate()
        assert (process.returncode, without_checkout_warning(errors)) in [(128 + number, SENTENCE), (0, "")]
        statuses.append(process.returncode)
    (whole,), (stopped,) = (
        [file.parent for file in tmp_path.glob(f"{runs}/*/result.json")] for runs in ("whole", "runs")
    )
    assert records.read(stopped)["parameters_hash"] == records.read(whole)["parameters_hash"]
    assert logged_metrics(stopped) == logged_metrics(whole)
    assert any(statuses)
