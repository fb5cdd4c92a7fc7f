"""The same searches as loops in PyTorch. Finished hypotheses are stored; the best unfinished ones continue."""

import functools
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from attn_research.data.vocab import BOS, EOS, PAD
from attn_research.decoding.outputs import length_limits
from attn_research.runs.environment import threads
from benchmarks import agreement
from benchmarks.jax_search import CASES, DECODE
from benchmarks.pytorch_model import EfficientModel
from benchmarks.pytorch_training import load, tensors
from benchmarks.questions import PreparedSide
from benchmarks.workloads import WORKLOADS, make_batch

EQUAL = 0.95  # share of outputs that must be identical; another order of a sum can decide a tie the other way


class Stepper:
    """The decoder over one batch of sources, for k hypotheses per source."""

    def __init__(self, model: EfficientModel, source: Tensor, lengths: Tensor):
        self.model = model
        self.states, self.padding, self.h, self.c = model.encode(source, lengths)
        self.score = model.score(model.score_weights, self.states)

    def start(self, width: int) -> tuple[Tensor, ...]:
        """Returns the initial h, c and attentional vector, [b k h] each."""
        states = [self.h, self.c, torch.zeros_like(self.h)]
        return tuple(state[:, None].expand(-1, width, -1) for state in states)

    def step(self, state: tuple[Tensor, ...], symbols: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        """Returns the next state and log p of the next symbols [b k n]. No encoder state is copied per hypothesis."""
        h, c, vector = (part.flatten(0, 1) for part in state)
        inputs = torch.cat([self.model.target(symbols.flatten()), vector], -1)
        h, c = (part.unflatten(0, symbols.shape) for part in self.model.cell(inputs, (h, c)))
        vector = self.model.attend(self.score, self.states, self.padding, h)
        return (h, c, vector), self.model.output(vector).log_softmax(-1)


def greedy(model: EfficientModel, source: Tensor, lengths: Tensor, limits: Tensor) -> tuple[Tensor, Tensor]:
    """Returns symbols [b t] and log p of the whole outputs [b]."""
    stepper = Stepper(model, source, lengths)
    state, symbols = stepper.start(1), torch.full((len(source), 1), BOS)
    total, active, outputs = torch.zeros(len(source)), limits > 0, []
    while active.any():
        state, log_p = stepper.step(state, symbols)
        best, symbols = log_p.max(-1)
        symbols = symbols.where(active[:, None], PAD)
        total = total + best[:, 0].where(active, 0)
        outputs.append(symbols)
        active = active & (symbols[:, 0] != EOS) & (len(outputs) < limits)
    return torch.cat(outputs, 1), total


class Hypotheses(NamedTuple):
    """Hypotheses, the best one first."""

    total: Tensor  # log p [b k]
    symbols: Tensor  # [b k t]

    def best(self, k: int) -> tuple["Hypotheses", Tensor]:
        """Returns the k best, and their indices."""
        total, indices = self.total.topk(k, -1)
        return Hypotheses(total, gather(self.symbols, indices)), indices


def gather(values: Tensor, indices: Tensor) -> Tensor:
    """Returns `values` [b n ...] at `indices` [b k]."""
    return values[torch.arange(len(values))[:, None], indices]


def beam(model: EfficientModel, source: Tensor, lengths: Tensor, limits: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Returns the best of k hypotheses: its symbols [b t] and log p [b]."""
    stepper, b, steps = Stepper(model, source, lengths), len(source), int(limits.max())
    state, nothing = stepper.start(k), torch.full((b, k), -torch.inf)
    alive = Hypotheses(nothing.clone(), torch.full((b, k, steps), PAD))
    alive.total[:, 0] = 0
    finished, last = Hypotheses(nothing, alive.symbols), torch.full((b, k), BOS)
    for t in range(steps):
        state, log_p = stepper.step(state, last)
        candidates, parents = extend(alive, log_p, t)
        ends = (candidates.symbols[:, :, t] == EOS) | (t + 1 >= limits[:, None])
        new = Hypotheses(candidates.total.masked_fill(~ends, -torch.inf)[:, :k], candidates.symbols[:, :k])
        finished, _ = Hypotheses(*(torch.cat(two, 1) for two in zip(finished, new, strict=True))).best(k)
        alive, indices = candidates._replace(total=candidates.total.masked_fill(ends, -torch.inf)).best(k)
        if not (alive.total > finished.total[:, -1:]).any():
            break
        state = tuple(gather(part, gather(parents, indices)) for part in state)
        last = alive.symbols[:, :, t]
    return finished.symbols[:, 0], finished.total[:, 0]


def extend(alive: Hypotheses, log_p: Tensor, t: int) -> tuple[Hypotheses, Tensor]:
    """Returns the best 2 k hypotheses that are one symbol longer, and the parent of each."""
    k, n = log_p.shape[1:]
    total, indices = (alive.total[..., None] + log_p).flatten(1).topk(2 * k, -1)
    parents = indices // n
    symbols = gather(alive.symbols, parents)
    symbols[:, :, t] = indices % n
    return Hypotheses(total, symbols), parents


@torch.inference_mode()
def search(directory: Path, workload: str, score: str, beam_size: int) -> PreparedSide:
    """Prepares a search, greedy with a beam of 1. Its outputs are compared with ours before it is timed."""
    torch.set_num_threads(threads())
    sizes, expected, equal = WORKLOADS[workload], agreement.read(directory), []
    model = EfficientModel(expected[f"parameters {CASES[0][0]}"], score)
    for ending, ragged in CASES:
        load(model, expected[f"parameters {ending}"])
        source, lengths, _ = tensors(make_batch(sizes, ragged))
        limits = torch.tensor(length_limits(DECODE, sizes.source_length))[lengths]
        run = functools.partial(decode, model, source, lengths, limits, beam_size)
        equal.append(compare(expected[f"outputs {ending}"], *(array.numpy() for array in run())))
    return PreparedSide(run, {"equal": min(equal)})


@torch.inference_mode()
def decode(model: EfficientModel, source: Tensor, lengths: Tensor, limits: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Returns symbols [b t] and log p [b] of the best outputs."""
    return greedy(model, source, lengths, limits) if k == 1 else beam(model, source, lengths, limits, k)


def compare(expected: agreement.Arrays, symbols: np.ndarray, total: np.ndarray) -> float:
    """Returns the share of identical outputs, after it checks their log p.

    Raises:
      ValueError: too few outputs are identical, or their log p differ.
    """
    width = expected["symbols"].shape[1]
    padded = np.pad(symbols, ((0, 0), (0, width - symbols.shape[1])), constant_values=PAD)
    equal = (padded == expected["symbols"]).all(1)
    if equal.mean() < EQUAL:
        raise ValueError(f"{equal.sum()} of {len(equal)} outputs of the two searches are equal")
    agreement.require_close("search", {"log p": expected["log p"][equal]}, {"log p": total[equal]})
    return float(equal.mean())
