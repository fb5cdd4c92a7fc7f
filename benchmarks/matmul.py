"""A product of two square matrices of float32: the most that a machine gives."""

from pathlib import Path

import numpy as np

from benchmarks.question import PreparedSide


def _pair(size: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((2, size, size), np.float32)


def xla(directory: Path, size: int) -> PreparedSide:
    """As XLA has it."""
    import jax

    left, right = jax.numpy.asarray(_pair(size))
    product = jax.jit(lambda left, right: left @ right)
    product(left, right).block_until_ready()
    return PreparedSide(lambda: product(left, right).block_until_ready(), {"flops": 2 * size**3})


def pytorch(directory: Path, size: int) -> PreparedSide:
    """As PyTorch has it."""
    import torch

    from attn_research.runs.environment import threads

    torch.set_num_threads(threads())
    left, right = torch.tensor(_pair(size))
    return PreparedSide(lambda: left @ right, {"flops": 2 * size**3})
