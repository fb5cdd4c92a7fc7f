"""A run from its config to its record: train, look at dev, keep the best, look at every test split."""

import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jax
import numpy as np

from attn_research import storage, user_modules
from attn_research.attention.attention import max_source_length
from attn_research.config import Config, digest, flatten
from attn_research.data import task
from attn_research.data.batching import Batch, collate, plan_batches
from attn_research.data.fingerprint import fingerprint
from attn_research.data.task import check_lengths
from attn_research.errors import UserError
from attn_research.metrics import METRICS
from attn_research.models.seq2seq import init_parameters
from attn_research.registry import Spec, nearest
from attn_research.runs import identity, records
from attn_research.runs.clock import Clock
from attn_research.runs.settings import settings
from attn_research.runs.signals import StopRequested, never_stop
from attn_research.training import auxiliary, output
from attn_research.training.checkpoint import Checkpoints
from attn_research.training.evaluate import Evaluation, evaluate, selectable_metrics
from attn_research.training.prepare import PreparedData, Split, prepare, saved_files
from attn_research.training.program import clear_programs, make_program
from attn_research.training.run_status import start_run
from attn_research.training.step import init_state
from attn_research.training.user_code import try_out

Report = Callable[[dict[str, Any]], None]


class DivergedError(Exception):
    """The loss is no longer a finite number."""


def run(
    config: Config, directory: Path, report: Report = lambda metrics: None, stop: Callable[[], bool] = never_stop
) -> records.Record:
    """Trains, or goes on where a killed run stopped, and returns the record that it writes.

    Args:
      directory: the run's own; gets config.json, metrics.jsonl, checkpoints/, outputs/ and, last, result.json.
      report: is called with `step`, `steps` and the metrics of every line of metrics.jsonl.
      stop: is asked between two steps whether to stop there.

    Raises:
      UserError: the config or its data is wrong and nothing has been written; or a checkpoint cannot be read or saved.
      StopRequested: `stop` said so; the next call goes on from the same step.
    """
    training = Training(config, Clock("prepare"), report, stop)
    training.open(directory)
    try:
        with training.clock.part("train"):
            training.train()
        outcome = {"status": "finished", "failure": None, "splits": training.evaluate_all()}
    except DivergedError as failure:
        outcome = {"status": "diverged", "failure": str(failure), "splits": {}}
    record = training.describe() | outcome
    records.write(directory, record)
    return record


class Training:
    """One run: its program, its state and its files."""

    def __init__(self, config: Config, clock: Clock, report: Report, stop: Callable[[], bool]):
        self.config, self.clock, self.report, self.stop = config, clock, report, stop
        drop_edited_code()
        self.user_code, self.sources = records.user_code(config), identity.sources(config)
        self.data = load_data(config)
        self.split = self.data.splits["train"]
        self.alignment = self.split.column("alignment") if auxiliary.needs_links(config.train) else None
        aligned = any("alignment" in split.data.column_names for split in self.data.splits.values())
        self.program = make_program(config, len(self.data.source), len(self.data.target), aligned)
        with clock.part("compile"):
            try_out(config, self.program.model)
            params = init_parameters(self.program.model, config.seed)
        self.state = init_state(params, config.train, config.seed)
        self.progress = {"epoch": 0, "batch": 0, "best_step": None, "best_value": None, "looks_since_best": 0}
        self.pending: list[dict[str, Any]] = []  # metrics of the steps since the last line
        self.looked, self.saved = 0, None  # the steps of the last evaluation and checkpoint
        self.steps_before, self.best = 0, None

    def open(self, directory: Path) -> None:
        """Makes the run's directory, or takes up what an earlier process left in it."""
        self.directory, self.identity = directory, start_run(directory, self.config, settings(), self.sources)
        directory.mkdir(parents=True, exist_ok=True)
        storage.write(directory / "config.json", json.dumps(flatten(self.config), indent=1) + "\n")
        self.data.save(directory)
        storage.seal(directory, ["config.json", *saved_files(self.config.data.task)])
        self.checkpoints = Checkpoints(directory / "checkpoints")
        restored = self.checkpoints.restore(self.state)
        if restored:
            self.state, progress = restored
            self.saved = int(self.state.step)
            self.pending, self.looked = progress.pop("pending", []), progress.pop("looked", self.saved)
            self.progress = progress
        self.steps_before = int(self.state.step)
        self.metrics_file = output.MetricsFile(directory / "metrics.jsonl", self.steps_before)

    def train(self) -> None:
        """Steps until the config's last one, or until dev has not gained for `patience` looks."""
        if self.evaluates_at(self.steps_before) and self.looked != self.steps_before:  # the evaluation was interrupted
            self.evaluate_dev(self.steps_before)
        for step, batch in self.batches():
            self.state, metrics = self.program.step(self.clock, self.state, batch)
            self.pending.append(metrics)
            evaluates = self.evaluates_at(step)
            if evaluates or step % self.config.train.log_every == 0:
                self.log(step, mean_finite(step, self.pending))
                self.pending = []
            if evaluates and self.evaluate_dev(step):
                return
            self.stop_if_requested()

    def evaluates_at(self, step: int) -> bool:
        """Whether dev is evaluated after this step."""
        return step > 0 and (step % self.config.train.evaluate_every == 0 or step == self.config.train.steps)

    def stop_if_requested(self) -> None:
        """Saves this step and raises `StopRequested`, if the caller wants the run to stop."""
        if self.stop():
            self.save()
            raise StopRequested

    def save(self) -> None:
        """Saves the state at this step, from which the run goes on as if it had not stopped."""
        step = int(self.state.step)
        if step == self.saved or step == 0:
            return
        pending = [{name: float(value) for name, value in metrics.items()} for metrics in jax.device_get(self.pending)]
        with self.clock.part("save"):
            self.checkpoints.save(step, self.state, self.progress | {"pending": pending, "looked": self.looked})
        self.saved = step

    def batches(self) -> Iterator[tuple[int, Batch]]:
        """Step numbers, from 1, and their batches, from the data position of `progress` on."""
        data, step = self.config.data, int(self.state.step)
        while True:
            batches = plan_batches(
                self.split.encoded, self.split.shapes, data.batch_size, self.config.seed, self.progress["epoch"]
            )
            for shape, rows in batches[self.progress["batch"] :]:
                if step == self.config.train.steps or self.should_stop:
                    return
                step += 1
                self.progress["batch"] += 1
                yield step, self.batch(shape, rows)
            self.progress |= {"epoch": self.progress["epoch"] + 1, "batch": 0}

    def batch(self, shape: int, rows: np.ndarray) -> Batch:
        """Rows of the training split, padded to one of its shapes."""
        encoded, size = self.split.encoded, self.config.data.batch_size
        return collate(encoded, rows, self.split.shapes[shape], size, self.alignment)

    @property
    def should_stop(self) -> bool:
        """Whether dev has not gained for `patience` looks."""
        patience = self.config.train.patience
        return patience is not None and self.progress["looks_since_best"] >= patience

    def log(self, step: int, metrics: dict[str, float]) -> None:
        """A line of metrics.jsonl, and a report."""
        self.metrics_file.write({"step": step, **metrics, "seconds": round(self.clock.total, 3)})
        self.report({"step": step, "steps": self.config.train.steps, **metrics})

    def evaluate_dev(self, step: int) -> bool:
        """Evaluates and saves; True when training is to stop."""
        select = METRICS[self.config.train.select]
        metrics = self.evaluate("dev", self.state.params).metrics
        self.log(step, {f"dev/{name}": value for name, value in metrics.items()})
        value, best = metrics[select.name], self.progress["best_value"]
        if best is None or (value < best if select.lower_is_better else value > best):
            self.progress |= {"best_step": step, "best_value": value, "looks_since_best": 0}
        else:
            self.progress["looks_since_best"] += 1
        self.looked, self.saved = step, None
        self.save()
        return self.should_stop

    def evaluate(self, name: str, params: Any) -> Evaluation:
        """What the model makes of one split."""
        with self.clock.part("evaluate"):
            split = self.data.splits[name]

            def eval_step(params: Any, batch: Batch) -> Any:
                self.stop_if_requested()
                return self.program.eval_step(self.clock, params, batch)

            data, decode = self.config.data, self.config.decode
            return evaluate(eval_step, params, split, self.data.target, data.batch_size, decode)

    def evaluate_all(self) -> dict[str, dict[str, Any]]:
        """Evaluates the best parameters on every split but train; the outputs go to outputs/."""
        self.best = self.checkpoints.restore_best(self.state.params, self.progress["best_step"])
        splits = {}
        for name, split in self.data.splits.items():
            if name != "train":
                evaluation = self.evaluate(name, self.best)
                output.write(self.directory / "outputs", name, split, evaluation)
                splits[name] = output.summary(split, evaluation)
        return splits

    def describe(self) -> records.Record:
        """All of the record but how it ended."""
        leaves = jax.tree.leaves_with_path(jax.device_get(self.state.params if self.best is None else self.best))
        seconds = self.clock.seconds
        return {
            "id": digest(self.config),
            "config": flatten(self.config),
            "steps": int(self.state.step),
            "best_step": self.progress["best_step"],
            "parameters": sum(leaf.size for _, leaf in leaves),
            "parameters_hash": hash_arrays(leaves),
            "flops_per_step": self.mean_flops(),
            "seconds": {
                "total": self.clock.total,
                "compile": seconds["compile"],
                "step": seconds["train"] / max(1, int(self.state.step) - self.steps_before),
            },
            "idle": self.clock.idle,
            "data": self.data.fingerprint(),
            "user_code": self.user_code,
            "identity": None if self.identity is None else self.identity._asdict(),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            **records.environment(),
        }

    def mean_flops(self) -> float:
        """Floating-point operations of a training step's matrix products, averaged over an epoch."""
        batches = plan_batches(self.split.encoded, self.split.shapes, self.config.data.batch_size)
        flops_by_shape = {
            shape: self.program.step.flops(self.clock, self.state, self.batch(shape, rows))
            for shape, rows in dict(batches).items()
        }
        return float(np.mean([flops_by_shape[shape] for shape, _ in batches]))


def drop_edited_code() -> None:
    """Makes a process that has made a run already use users' files as they are now, with nothing kept of older ones."""
    if user_modules.drop_edited():
        clear_programs()
        for cached in (prepare, task.load, fingerprint):
            cached.cache_clear()


def load_data(config: Config) -> PreparedData:
    """The config's data, checked against what the score allows, and the losses and the selection need."""
    data, score = prepare(config.data), config.model.attention.score
    has_links = "alignment" in data.splits["train"].data.column_names
    auxiliary.check(config.train, score, config.data.task, has_links)
    check_select(config.train.select, data.splits["dev"], config.data.task)
    check_lengths({name: split.data for name, split in data.splits.items()}, max_source_length(score), f"score {score}")
    return data


def check_select(select: str, dev: Split, of: Spec) -> None:
    """A UserError where the metric that picks the best checkpoint is none of dev's."""
    if select not in selectable_metrics(dev):
        known = nearest(select, selectable_metrics(dev))
        raise UserError(f"train.select is {select!r}, which is not measured on the outputs of task {of}; {known}")


def mean_finite(step: int, pending: list[dict[str, jax.Array]]) -> dict[str, float]:
    """The mean of the metrics of the last steps, up to `step`.

    Raises:
      DivergedError: one of them is not finite; it says which, and at which step.
    """
    fetched = jax.device_get(pending)
    for number, metrics in enumerate(fetched, step - len(fetched) + 1):
        for name, value in metrics.items():
            if not np.isfinite(value):
                raise DivergedError(f"{name} is {value} at step {number}")
    return {name: float(np.mean([metrics[name] for metrics in fetched], dtype=np.float64)) for name in fetched[0]}


def hash_arrays(leaves: list[tuple[Any, np.ndarray]]) -> str:
    """sha256 of the names, shapes and bytes of all parameters."""
    sha = hashlib.sha256()
    for path, leaf in leaves:
        sha.update(f"{jax.tree_util.keystr(path)} {leaf.shape} {leaf.dtype}".encode() + leaf.tobytes())
    return sha.hexdigest()
