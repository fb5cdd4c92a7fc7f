"""Counts the parameters and FLOPs of a config from array shapes: nothing is allocated, compiled or trained."""

import functools
import math
from collections import Counter
from typing import NamedTuple

import jax
import jax.numpy as jnp

from attn_research import config
from attn_research.data.batching import Batch, Shape, plan_batches
from attn_research.models.seq2seq import Seq2Seq, init_parameters
from attn_research.training import auxiliary
from attn_research.training.prepare import prepare
from attn_research.training.program import product_flops
from attn_research.training.step import init_state, make_train_step


class DataSizes(NamedTuple):
    """What counts depend on in the data of a run."""

    source: int  # symbols of the source vocabulary
    target: int  # symbols of the target vocabulary
    batches: tuple[tuple[Shape, int], ...]  # every padded shape with the number of its batches in an epoch


def count_parameters(run: config.Config) -> int:
    """Returns the number of parameters of a run, as its record does.

    Raises:
      UserError: the data is invalid, or the config has no valid model.
    """
    sizes = data_sizes(run.data)
    return _count_parameters(Seq2Seq(run.model, sizes.source, sizes.target))


def count_flops(run: config.Config) -> float:
    """Returns the FLOPs of the matrix products of a training step, averaged over an epoch, as the record of a run does.

    Raises:
      UserError: as in `count_parameters`.
    """
    batches = data_sizes(run.data).batches
    by_shape = {shape: _count_flops(config.program_config(run), shape) for shape, _ in batches}
    return sum(by_shape[shape] * number for shape, number in batches) / sum(number for _, number in batches)


@functools.lru_cache(maxsize=256)
def data_sizes(data: config.Data) -> DataSizes:
    """Returns the sizes of the vocabularies and the batches of an epoch.

    Raises:
      UserError: the data is invalid.
    """
    prepared = prepare(data)
    split = prepared.splits["train"]
    batches = plan_batches(split.encoded, split.shapes, data.batch_size)
    numbers = Counter(split.shapes[shape] for shape, _ in batches)
    return DataSizes(len(prepared.source), len(prepared.target), tuple(numbers.items()))


@functools.lru_cache(maxsize=4096)
def _count_parameters(model: Seq2Seq) -> int:
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(jax.eval_shape(lambda: init_parameters(model, 0))))


@functools.lru_cache(maxsize=4096)
def _count_flops(run: config.Config, shape: Shape) -> int:
    sizes, train = data_sizes(run.data), run.train
    model = Seq2Seq(run.model, sizes.source, sizes.target)
    state = jax.eval_shape(lambda: init_state(init_parameters(model, 0), train, 0))
    batch = _abstract_batch(run.data.batch_size, shape, auxiliary.needs_links(train))
    return product_flops(make_train_step(model, train).trace(state, batch).jaxpr)


def _abstract_batch(rows: int, shape: Shape, has_links: bool) -> Batch:
    """Returns the shapes and types of a batch's arrays, in place of the arrays."""

    def ids(*shape: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape, jnp.int32)

    source, target = shape
    links = jax.ShapeDtypeStruct((rows, target, source), jnp.float32) if has_links else None
    return Batch(ids(rows, source), ids(rows), ids(rows, target), ids(rows), ids(rows), links)  # type: ignore[arg-type]


def clear_counts() -> None:
    """Drops all counts of this process."""
    for cached in (data_sizes, _count_parameters, _count_flops):
        cached.cache_clear()
