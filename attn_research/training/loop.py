"""The training loop: trains a config with early stopping and evaluates the best checkpoint on all other splits."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from attn_research import user_modules
from attn_research.config import Config
from attn_research.data import task
from attn_research.data.attributes import count_targets
from attn_research.data.batching import Batch, collate, plan_batches
from attn_research.data.fingerprint import fingerprint
from attn_research.data.vocab import Vocabulary
from attn_research.metrics import METRICS
from attn_research.models.seq2seq import init_parameters
from attn_research.runs import identity, records
from attn_research.runs.clock import Clock
from attn_research.runs.environment import settings
from attn_research.runs.memory import reset_peak
from attn_research.runs.signals import StopRequested, never_stop
from attn_research.training import auxiliary, output
from attn_research.training.check import reject_imported, try_out
from attn_research.training.checkpoint import Checkpoints
from attn_research.training.counts import clear_counts
from attn_research.training.evaluate import EvalOutput, Evaluation, evaluate
from attn_research.training.prepare import load_data, prepare
from attn_research.training.program import clear_programs, make_program
from attn_research.training.record import describe, describe_split
from attn_research.training.run_status import start_run
from attn_research.training.step import init_state
from attn_research.training.word_alignment import has_links

Report = Callable[[dict[str, Any]], None]
# Progress before the first step, as in progress.json: the position in the data and the best evaluation so far.
START: dict[str, Any] = {
    "epoch": 0,
    "batch": 0,
    "best_step": None,
    "best_value": None,
    "looks_since_best": 0,
    "dev": [],
}


class DivergedError(Exception):
    """A training metric is not finite."""


def run(
    config: Config, directory: Path, report: Report = lambda metrics: None, stop: Callable[[], bool] = never_stop
) -> records.Record:
    """Trains and evaluates a config, or resumes its run after the last checkpoint. Writes and returns the record.

    Args:
      directory: the run's directory; gets config.json, metrics.jsonl, checkpoints/, outputs/ and, last, result.json.
      report: called with `step`, `steps` and the metrics of every line of metrics.jsonl.
      stop: called between two steps; if it returns True, the run stops there.

    Raises:
      UserError: the config or its data is invalid, and nothing has been written; or a checkpoint cannot be read or
        written.
      StopRequested: `stop` returned True; the next call resumes the run at the same step.
    """
    reject_imported(config)
    training = Training(config, Clock("prepare"), report, stop)
    training.open(directory)
    try:
        with training.clock.part("train"):
            training.train()
        outcome = {"status": "finished", "failure": None, "splits": training.evaluate_all()}
    except DivergedError as failure:
        outcome = {"status": "diverged", "failure": str(failure), "splits": {}}
    record = describe(training) | outcome
    records.write(directory, record)
    return record


class Training:
    """One run: its data, program, state and files.

    Args:
      vocabularies: of source and target; None: those of the training split.
    """

    def __init__(
        self,
        config: Config,
        clock: Clock,
        report: Report,
        stop: Callable[[], bool],
        vocabularies: tuple[Vocabulary, Vocabulary] | None = None,
    ):
        self.config, self.clock, self.report, self.stop = config, clock, report, stop
        reset_peak()
        drop_edited_code()
        self.user_code, self.sources = records.user_code(config), identity.sources(config)
        self.data = load_data(config, vocabularies)
        self.split = self.data.splits["train"]
        self.alignment = self.split.column("alignment") if auxiliary.needs_links(config.train) else None
        aligned = any("alignment" in split.data.column_names for split in self.data.splits.values())
        word_aligned = any(map(has_links, self.data.splits.values()))
        self.program = make_program(config, len(self.data.source), len(self.data.target), aligned, word_aligned)
        with clock.part("compile"):
            try_out(config, self.program.model)
            params = init_parameters(self.program.model, config.seed)
        self.state = init_state(params, config.train, config.seed)
        self.progress = dict(START)
        self.pending: list[dict[str, Any]] = []  # metrics of the steps since the last line of metrics.jsonl
        self.evaluated = 0  # step of the last evaluation
        self.saved: int | None = None  # step of the last checkpoint
        self.steps_before = 0  # steps of earlier processes
        self.best: Any = None  # best parameters

    def open(self, directory: Path) -> None:
        """Creates the run's directory, or restores the state of an earlier process from it."""
        self.directory, self.identity = directory, start_run(directory, self.config, settings(), self.sources)
        output.write_inputs(directory, self.config, self.data)
        self.checkpoints = Checkpoints(directory / "checkpoints", self.config.train.keep)
        if restored := self.checkpoints.restore(self.state):
            self.state, self.progress = restored[0], {"dev": None} | restored[1]  # early checkpoints have no dev curve
            self.saved = int(self.state.step)
            self.pending = self.progress.pop("pending", [])
            self.evaluated = self.progress.pop("looked", self.saved)
        self.steps_before = int(self.state.step)
        self.metrics_file = output.MetricsFile(directory / "metrics.jsonl", self.steps_before)

    def train(self) -> None:
        """Trains until the last step of the config or until early stopping."""
        if self.evaluates_at(self.steps_before) and self.evaluated != self.steps_before:  # interrupted evaluation
            self.evaluate_dev(self.steps_before)
        for step, batch in self.batches():
            self.state, metrics = self.program.step(self.clock, self.state, batch)
            self.pending.append(metrics)
            evaluates = self.evaluates_at(step)
            if evaluates or step % self.config.train.log_every == 0:
                self.log(step, mean_finite(step, self.pending))
                self.pending = []
            if evaluates:
                self.evaluate_dev(step)
                if self.stops_early:
                    return
            self.stop_if_requested()

    def batches(self) -> Iterator[tuple[int, Batch]]:
        """Yields step numbers, from 1, and their batches, from the position in `progress` on."""
        data, step = self.config.data, int(self.state.step)
        while True:
            batches = plan_batches(
                self.split.encoded, self.split.shapes, data.batch_size, self.config.seed, self.progress["epoch"]
            )
            for shape, rows in batches[self.progress["batch"] :]:
                if step == self.config.train.steps or self.stops_early:
                    return
                step += 1
                self.progress["batch"] += 1
                yield step, self.make_batch(shape, rows)
            self.progress |= {"epoch": self.progress["epoch"] + 1, "batch": 0}

    def make_batch(self, shape: int, rows: np.ndarray) -> Batch:
        """Returns rows of the training split, padded to one of its shapes."""
        encoded, size = self.split.encoded, self.config.data.batch_size
        return collate(encoded, rows.tolist(), self.split.shapes[shape], size, self.alignment)

    def evaluates_at(self, step: int) -> bool:
        """Returns whether dev is evaluated after this step."""
        return step > 0 and (step % self.config.train.evaluate_every == 0 or step == self.config.train.steps)

    @property
    def stops_early(self) -> bool:
        """Whether dev has not improved for `patience` evaluations."""
        patience = self.config.train.patience
        return patience is not None and self.progress["looks_since_best"] >= patience

    def stop_if_requested(self) -> None:
        """Saves a checkpoint and raises `StopRequested` if the caller asks for a stop."""
        if self.stop():
            self.save()
            raise StopRequested

    def log(self, step: int, metrics: dict[str, float]) -> None:
        """Writes a line of metrics.jsonl and reports it."""
        self.metrics_file.write({"step": step, **metrics, "seconds": round(self.clock.total, 3)})
        self.report({"step": step, "steps": self.config.train.steps, **metrics})

    def evaluate_dev(self, step: int) -> None:
        """Evaluates dev, updates the best step and saves a checkpoint."""
        select = METRICS[self.config.train.select]
        metrics = self.evaluate("dev", self.state.params).metrics
        self.log(step, {f"dev/{name}": value for name, value in metrics.items()})
        if self.progress["dev"] is not None:
            self.progress["dev"] = [*self.progress["dev"], {"step": step, **metrics}]
        value, best = metrics[select.name], self.progress["best_value"]
        if improves(value, best, bool(select.lower_is_better)):
            self.progress |= {"best_step": step, "best_value": value, "looks_since_best": 0}
        else:
            self.progress["looks_since_best"] += 1
        self.evaluated, self.saved = step, None
        self.save()

    def save(self) -> None:
        """Saves a checkpoint of this step, from which the run resumes as if it had not stopped."""
        step = int(self.state.step)
        if step == self.saved or step == 0:
            return
        pending = [{name: float(value) for name, value in metrics.items()} for metrics in jax.device_get(self.pending)]
        with self.clock.part("save"):
            self.checkpoints.save(step, self.state, self.progress | {"pending": pending, "looked": self.evaluated})
        self.saved = step

    def evaluate(self, name: str, params: Any) -> Evaluation:
        """Evaluates parameters on one split."""
        split, batch_size = self.data.splits[name], self.config.data.batch_size
        with self.clock.part("evaluate"):
            return evaluate(self.eval_step, params, split, self.data.target, batch_size, self.config.decode)

    def eval_step(self, params: Any, batch: Batch) -> EvalOutput:
        """Evaluates one batch, unless the caller asks for a stop."""
        self.stop_if_requested()
        return self.program.eval_step(self.clock, params, batch)

    def evaluate_all(self) -> dict[str, dict[str, Any]]:
        """Evaluates the best checkpoint on every split except train and writes the outputs."""
        self.best = self.checkpoints.restore_best(self.state.params, self.progress["best_step"])
        splits, targets = {}, count_targets(self.split.encoded)
        for name, split in self.data.splits.items():
            if name != "train":
                evaluation = self.evaluate(name, self.best)
                output.write(self.directory / "outputs", name, split, evaluation)
                splits[name] = describe_split(split, evaluation, targets)
        return splits


def improves(value: float, best: float | None, lower_is_better: bool) -> bool:
    """Returns whether a dev metric is better than the best so far, if any. NaN is worse than any number."""
    if best is None or math.isnan(best):
        return best is None or not math.isnan(value)
    return value < best if lower_is_better else value > best


def mean_finite(step: int, pending: list[dict[str, jax.Array]]) -> dict[str, float]:
    """Returns the mean of each metric over the last steps, up to `step`.

    Raises:
      DivergedError: a value is not finite.
    """
    fetched = jax.device_get(pending)
    for number, metrics in enumerate(fetched, step - len(fetched) + 1):
        for name, value in metrics.items():
            if not np.isfinite(value):
                raise DivergedError(f"{name} is {value} at step {number}")
    return {name: float(np.mean([metrics[name] for metrics in fetched], dtype=np.float64)) for name in fetched[0]}


def drop_edited_code() -> None:
    """Forgets edited user files and everything computed from them, so that this process uses the current ones."""
    if user_modules.drop_edited():
        clear_programs()
        clear_counts()
        for cached in (prepare, task.load, fingerprint):
            cached.cache_clear()
