"""Which share of the machine's best matrix product does a training step reach?"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from attn_research.runs.environment import threads
from benchmarks.questions import OURS, PreparedSide, Question, SideSpec, step
from benchmarks.tables import NONE, Entry, entries, number, timing

PRODUCT = "product of size "
STEPS = ("W1", "W2-64", "W2-128")


def rows(full: bool) -> dict[str, dict[str, SideSpec]]:
    """Products of square float32 matrices, then training steps."""
    return {f"{PRODUCT}{size}": _product(size) for size in ((1024, 2048, 4096) if full else (2048,))} | {
        f"{workload} dot": {OURS: step.ours(workload, "dot")} for workload in (STEPS if full else ("W2-64",))
    }


def _product(size: int) -> dict[str, SideSpec]:
    return {
        "XLA": SideSpec("benchmarks.questions.peak:xla_product", {"size": size}),
        "PyTorch": SideSpec("benchmarks.questions.peak:pytorch_product", {"size": size}, needs="torch"),
    }


def _matrices(size: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((2, size, size), np.float32)


def xla_product(directory: Path, size: int) -> PreparedSide:
    """Multiplies two matrices with XLA."""
    import jax

    left, right = jax.numpy.asarray(_matrices(size))
    product = jax.jit(lambda left, right: left @ right)
    product(left, right).block_until_ready()
    return PreparedSide(lambda: product(left, right).block_until_ready(), {"flops": 2 * size**3})


def pytorch_product(directory: Path, size: int) -> PreparedSide:
    """Multiplies the same two matrices with PyTorch."""
    import torch

    torch.set_num_threads(threads())
    left, right = torch.tensor(_matrices(size))
    return PreparedSide(lambda: left @ right, {"flops": 2 * size**3})


def rate(entry: Entry) -> float | None:
    """Returns GFLOP/s."""
    return entry.median and entry.facts["flops"] / entry.median / 1e9


def peak(record: Mapping[str, Any]) -> tuple[float, str] | None:
    """Returns the highest rate of a product in GFLOP/s, and the row and side that reach it."""
    products = [entry for entry in entries(record) if entry.row.startswith(PRODUCT) and entry.seconds]
    return max(((rate(entry), f"{entry.row}, {entry.side}") for entry in products), default=None)


def share(entry: Entry, record: Mapping[str, Any]) -> str:
    """Returns the percentage of the peak."""
    best, own = peak(record), rate(entry)
    return f"{100 * own / best[0]:.0f}" if best and own else NONE


def per_symbol(entry: Entry, record: Mapping[str, Any]) -> str:
    """Returns MFLOP per target symbol."""
    return number(entry.facts["flops"] / entry.facts["symbols"] / 1e6) if "symbols" in entry.facts else NONE


def table(record: Mapping[str, Any]) -> str:
    """Returns a table of operations, rates and shares of the peak."""
    best = peak(record)
    peak_text = f"the peak is {number(best[0])} GFLOP/s ({best[1]})" if best else "no product was measured"
    columns = {
        "GFLOP": lambda entry, _: number(entry.facts["flops"] / 1e9),
        "GFLOP/s": lambda entry, _: number(rate(entry)),
        "% of the peak": share,
        "MFLOP per target symbol": per_symbol,
    }
    return timing(record, f"Training step compared with the best matrix product; {peak_text}", columns)


question = Question(rows, table)
