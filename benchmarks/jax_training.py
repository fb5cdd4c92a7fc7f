"""The project's own training step on a workload."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import optax
from flax.traverse_util import flatten_dict

from attn_research.config import Config
from attn_research.data.batching import Batch
from attn_research.models.seq2seq import Seq2Seq, init_parameters
from attn_research.runs.clock import Clock
from attn_research.runs.compilation_cache import enable_compilation_cache
from attn_research.training.program import CompiledFunction
from attn_research.training.step import TrainState, init_state, make_train_step
from benchmarks import agreement
from benchmarks.questions import PreparedSide
from benchmarks.server import peak_bytes
from benchmarks.workloads import WORKLOADS, Workload, make_batch, make_config


def make_model(workload: Workload, config: Config) -> Seq2Seq:
    """Returns the model for a workload's vocabularies."""
    return Seq2Seq(config.model, workload.source_symbols, workload.target_symbols)


def by_name(params: Any) -> dict[str, np.ndarray]:
    """Copies a parameter tree to `{"decoder/attention/score/W": array}`."""
    return {name: np.array(leaf) for name, leaf in flatten_dict(params["params"], sep="/").items()}


class Training:
    """The compiled training step with its current state."""

    def __init__(self, model: Seq2Seq, config: Config):
        self.compiled, self.clock = CompiledFunction(make_train_step(model, config.train)), Clock("train")
        self.state = init_state(init_parameters(model, config.seed), config.train, config.seed)

    def step(self, batch: Batch) -> dict[str, float]:
        """Runs one step. It fetches the metrics, so the step is complete when this returns."""
        self.state, metrics = self.compiled(self.clock, self.state, batch)
        return {name: float(value) for name, value in metrics.items()}


def step(directory: Path, workload: str, score: str, feeding: str = "attentional") -> PreparedSide:
    """Prepares a training step, and writes the arrays that the other sides are compared with."""
    enable_compilation_cache()
    sizes = WORKLOADS[workload]
    config = make_config(sizes, score, feeding)
    ragged, full = make_batch(sizes, ragged=True), make_batch(sizes, ragged=False)
    training = Training(make_model(sizes, config), config)
    parameters = by_name(training.state.params)
    start = time.perf_counter()
    metrics = training.step(ragged)
    first = time.perf_counter() - start
    gradients = first_gradients(training.state, metrics["gradient_norm"], config.train.clip)
    losses = [metrics["loss"], *(training.step(ragged)["loss"] for _ in range(1, agreement.STEPS))]
    agreement.write(directory, parameters=parameters, gradients=gradients, losses={"loss": np.array(losses)})
    flops = training.compiled.flops(training.clock, training.state, full)
    training.step(full)
    facts = {"first": first, "flops": flops, "symbols": full.target.size, "peak_bytes": peak_bytes()}
    return PreparedSide(lambda: training.step(full), facts)


def first_gradients(state: TrainState, norm: float, clip: float) -> dict[str, np.ndarray]:
    """Returns the gradients of the first step. Adam's first moment is then a tenth of the clipped gradient."""
    scale = max(norm / clip, 1) / (1 - 0.9)
    moments = by_name(optax.tree.get(state.optimizer, "mu"))
    return {name: scale * moment for name, moment in moments.items()}
