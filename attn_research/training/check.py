"""Checks a config before a run reads data or writes files: names, ranges, combinations and user functions."""

import dataclasses
import functools
from collections.abc import Iterable

import jax
import jax.numpy as jnp

from attn_research.attention.attention import max_source_length
from attn_research.config import Config, Data, program_config
from attn_research.decoding.search import make_search
from attn_research.errors import UserError, describe, user_line
from attn_research.models.seq2seq import Seq2Seq
from attn_research.registry import Spec
from attn_research.training import auxiliary
from attn_research.training.optimizers import make_optimizer
from attn_research.variants import check_names, registry, specs

ROWS, LENGTH, SYMBOLS = 2, 3, 8  # of the batch that is traced
STEP_ROWS, STEP_LENGTH = 3, 7  # of the step that is traced; unequal, so that swapped axes are an error


def check_all(configs: Iterable[Config], files: bool = True) -> None:
    """Checks each distinct program once: runs that differ in seed or learning rate share one.

    Args:
      files: as in `check`.

    Raises:
      UserError: as in `check`.
    """
    for config in {(program_config(config), config.data.task): config for config in configs}.values():
        check(config, files)


def check(config: Config, files: bool = True) -> None:
    """Checks the names of the variants, then traces model, losses and search on a batch of two short sentences.

    Args:
      files: also checks that the data files exist and that the parameters are not imported, as training needs.

    Raises:
      UserError: a name is unknown, a value is out of range, a combination is not allowed, or a user function fails.
    """
    check_names(config)
    task = registry("task").bind(config.data.task)
    if files:
        reject_imported(config)
    if files and task.traits.check_files:
        task.traits.check_files()
    auxiliary.check(config.train, config.model.attention.score, config.data.task, has_links=True)
    try:
        _trace(dataclasses.replace(program_config(config), data=Data()))
        try_out(config, Seq2Seq(config.model, SYMBOLS, SYMBOLS))
    except UserError:
        raise
    except Exception as error:
        user_specs = [spec for spec in specs(config).values() if spec.module]
        if not user_specs and not user_line(error):
            raise
        subject = "" if user_line(error) else f"{' and '.join(user_specs)} cannot be used: "
        raise UserError(subject + describe(error, bug="")) from error


def reject_imported(config: Config) -> None:
    """Raises a UserError if the parameters of a config come from another system."""
    if config.train.imported is not None:
        raise UserError(
            f"train.imported is {config.train.imported!r}: such a run is not trained; `attn-research import` writes it"
        )


@functools.lru_cache(maxsize=256)
def _trace(config: Config) -> None:
    limit = max_source_length(config.model.attention.score)
    length, symbols = min(LENGTH, limit or LENGTH), SYMBOLS + config.decode.beam
    model, search = Seq2Seq(config.model, symbols, symbols), make_search(config.decode)
    ids, lengths = jnp.ones((ROWS, length), jnp.int32), jnp.full(ROWS, length, jnp.int32)

    def forward(key):
        params = model.init(key, ids, lengths)
        make_optimizer(config.train, config.train.learning_rate).init(params)
        session = model.apply(params, ids, lengths, rngs={"dropout": key, "attention": key})
        z, weights = session.unnormalized(ids)
        session.normalizer.loss(z, ids, config.train.label_smoothing)
        mask = jnp.ones(z.shape[:2], jnp.float32)
        auxiliary.losses(config.train, weights, mask, jnp.ones((ROWS, length, length), jnp.float32))
        return search(model.apply(params, ids, lengths), length, lengths, lengths)

    jax.eval_shape(forward, jax.random.PRNGKey(0))


def try_out(config: Config, model: Seq2Seq) -> None:
    """Traces one step of the model and checks a user's score, normalizer or window for NaN.

    Does nothing without a user function.

    Raises:
      UserError: a user function breaks its contract; the message names the line.
    """
    attention = config.model.attention
    if not any(_has_user_code(spec) for spec in (attention.score, attention.normalizer, attention.window)):
        return
    jax.eval_shape(lambda: _step(model))
    from attn_research.attention.laws import find_nonfinite

    if violation := find_nonfinite(attention):
        raise UserError(violation)


def _has_user_code(spec: Spec | None) -> bool:
    """Returns whether a spec, or a spec among its hyperparameters, names a file or module."""
    return spec is not None and ":" in spec


def _step(model: Seq2Seq) -> tuple:
    source, lengths = jnp.ones((STEP_ROWS, STEP_LENGTH), jnp.int32), jnp.ones(STEP_ROWS, jnp.int32)
    session, _ = model.init_with_output(jax.random.PRNGKey(0), source, lengths)
    return session.step(session.start, source[:, 0])
