"""Everything about a config that can be known to be wrong before data is read, in one place for train and sweep."""

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
from attn_research.spelling import registry, specs
from attn_research.training import auxiliary
from attn_research.training.optimizers import make_optimizer
from attn_research.training.user_code import try_out

ROWS, LENGTH, SYMBOLS = 2, 3, 8  # of the batch that is traced


def check_all(configs: Iterable[Config], files: bool = True) -> None:
    """`check` of every config, each program once."""
    for config in {(program_config(config), config.data.task): config for config in configs}.values():
        check(config, files)


def check(config: Config, files: bool = True) -> None:
    """Finds the config's variants, and traces its model, losses and search on a batch of two short sentences.

    Args:
      files: looks for those of the data, too.

    Raises:
      UserError: something is unknown or out of its range, a combination is refused, or a user's function fails.
    """
    check_names(config)
    task = registry("task").bind(config.data.task)
    if files and task.traits.check_files:
        task.traits.check_files()
    auxiliary.check(config.train, config.model.attention.score, config.data.task, has_links=True)
    try:
        _trace(dataclasses.replace(program_config(config), data=Data()))
        try_out(config, Seq2Seq(config.model, SYMBOLS, SYMBOLS))
    except UserError:
        raise
    except Exception as error:
        own = [spec for spec in specs(config).values() if spec.module]
        if not own and not user_line(error):
            raise
        of_whom = "" if user_line(error) else f"{' and '.join(own)} cannot be used: "
        raise UserError(of_whom + describe(error, bug="")) from error


def check_names(config: Config) -> None:
    """Refuses variants that are unknown, and hyperparameters that they do not have or that are out of their range."""
    for name, spec in specs(config).items():
        registry(name).bind(spec)


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
        logits, weights = session.teacher_force(ids)
        mask = jnp.ones(logits.shape[:2], jnp.float32)
        auxiliary.losses(config.train, weights, mask, jnp.ones((ROWS, length, length), jnp.float32))
        return search(model.apply(params, ids, lengths), length, lengths)

    jax.eval_shape(forward, jax.random.PRNGKey(0))
