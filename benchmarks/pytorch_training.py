"""The training step in PyTorch, with our parameters. It is compared with our step before it is timed."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from attn_research.data.batching import Batch
from attn_research.data.vocab import PAD
from attn_research.runs.environment import threads
from benchmarks import agreement
from benchmarks.pytorch_model import EfficientModel, NoFeedingModel, TutorialModel
from benchmarks.questions import PreparedSide
from benchmarks.workloads import WORKLOADS, make_batch

STYLES: Mapping[str, Callable] = {
    "well written": EfficientModel,
    "compiled": EfficientModel,
    "tutorial": TutorialModel,
    "no feeding": NoFeedingModel,
}


class ParameterSlot(NamedTuple):
    """The place of one of our arrays in a PyTorch model."""

    parts: tuple[nn.Parameter, ...]  # concatenated along the inputs
    transposed: bool = True  # PyTorch stores [outputs, inputs]
    forget: int = 0  # hidden size of a cell; our cell adds 1 to the bias of the forget gate


def parameter_slots(model: EfficientModel) -> dict[str, ParameterSlot]:
    """Returns the slot of every parameter by our name. The second bias of PyTorch's cells is fixed at zero."""
    slots = {
        "source_embedding": ParameterSlot((model.source.weight,), transposed=False),
        "target_embedding": ParameterSlot((model.target.weight,), transposed=False),
        "decoder/bridge/W": ParameterSlot((model.bridge.weight,)),
        "decoder/bridge/b": ParameterSlot((model.bridge.bias,)),
        "decoder/combination/W_c": ParameterSlot((model.combination.weight,)),
        "output/W": ParameterSlot((model.output.weight,)),
        "output/b": ParameterSlot((model.output.bias,)),
    }
    for name, weight in model.score_weights.items():
        slots[f"decoder/attention/score/{name}"] = ParameterSlot((weight,), transposed=False)
    slots |= _cell("encoder/layer_0_forward", model.encoder, "_l0")
    slots |= _cell("encoder/layer_0_reversed", model.encoder, "_l0_reverse")
    return slots | _cell("decoder/layer_0", model.cell, "_l0" if isinstance(model.cell, nn.LSTM) else "")


def _cell(name: str, module: nn.Module, suffix: str) -> dict[str, ParameterSlot]:
    weights = tuple(getattr(module, f"weight_{part}{suffix}") for part in ("ih", "hh"))
    second = getattr(module, f"bias_hh{suffix}").requires_grad_(False)
    nn.init.zeros_(second)
    bias = getattr(module, f"bias_ih{suffix}")
    return {f"{name}/W": ParameterSlot(weights), f"{name}/b": ParameterSlot((bias,), forget=module.hidden_size)}


@torch.no_grad()
def load(model: EfficientModel, arrays: Mapping[str, np.ndarray]) -> None:
    """Copies our parameters into the model."""
    for name, slot in parameter_slots(model).items():
        array = torch.tensor(arrays[name].T if slot.transposed else arrays[name])
        array[slot.forget : 2 * slot.forget] += 1
        for part, values in zip(slot.parts, array.split([p.shape[-1] for p in slot.parts], -1), strict=True):
            part.copy_(values)


def gradients(model: EfficientModel) -> dict[str, np.ndarray]:
    """Returns the gradients by our names and in our order of axes."""
    arrays = {}
    for name, slot in parameter_slots(model).items():
        array = torch.cat([part.grad for part in slot.parts], -1).numpy()
        arrays[name] = array.T if slot.transposed else array
    return arrays


class Training:
    """A model with its optimizer."""

    def __init__(self, model: EfficientModel, compiled: bool):
        self.model = model
        self.loss = torch.compile(self._loss) if compiled else self._loss
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.Adam(self.parameters, lr=1e-3, fused=True)

    def _loss(self, source: Tensor, lengths: Tensor, target: Tensor) -> Tensor:
        logits = self.model(source, lengths, target)
        return nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=PAD)

    def backward(self, batch: tuple[Tensor, ...]) -> float:
        """Returns the loss, and leaves the gradients in the parameters."""
        self.optimizer.zero_grad()
        loss = self.loss(*batch)
        loss.backward()
        return loss.item()

    def step(self, batch: tuple[Tensor, ...]) -> float:
        """Runs one training step, and returns its loss."""
        loss = self.backward(batch)
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        return loss


def tensors(batch: Batch) -> tuple[Tensor, ...]:
    """Returns source [b s], source lengths [b] and target [b t]."""
    return tuple(torch.tensor(array).long() for array in (batch.source, batch.source_lengths, batch.target))


def compare(training: Training, batch: tuple[Tensor, ...], expected: Mapping[str, Mapping[str, np.ndarray]]) -> float:
    """Returns the largest difference from our gradients and from our losses in a few training steps.

    Raises:
      ValueError: a difference is too large.
    """
    training.backward(batch)
    differences = [agreement.require_close("gradients", expected["gradients"], gradients(training.model))]
    losses = {"loss": np.array([training.step(batch) for _ in range(agreement.STEPS)])}
    return max(*differences, agreement.require_close("losses", expected["losses"], losses))


def step(directory: Path, workload: str, score: str, style: str) -> PreparedSide:
    """Prepares a training step. It is compared with ours before it is timed."""
    torch.set_num_threads(threads())
    sizes, expected = WORKLOADS[workload], agreement.read(directory)
    model = STYLES[style](expected["parameters"], score)
    load(model, expected["parameters"])
    training = Training(model, compiled=style == "compiled")
    ragged, full = (tensors(make_batch(sizes, ragged)) for ragged in (True, False))
    start = time.perf_counter()
    training.backward(ragged)
    first = time.perf_counter() - start
    difference = compare(training, ragged, expected)
    return PreparedSide(lambda: training.step(full), {"first": first, "difference": difference})
