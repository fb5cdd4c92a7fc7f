"""Tries a user's own functions before a run begins: a mistake is then one sentence, and not a failed run."""

import jax
import jax.numpy as jnp

from attn_research.config import Config
from attn_research.errors import UserError
from attn_research.models.seq2seq import Seq2Seq
from attn_research.registry import Spec

ROWS, POSITIONS = 3, 7  # two numbers, so that axes are told apart


def try_out(config: Config, model: Seq2Seq) -> None:
    """Traces a step of the model, and looks for NaN in what a user's score, normalizer or window gives.

    Raises:
      UserError: a function of the user's does not keep its contract; the sentence names the line.
    """
    attention = config.model.attention
    if not any(_is_users(spec) for spec in (attention.score, attention.normalizer, attention.window)):
        return
    jax.eval_shape(lambda: _step(model))
    from attn_research.attention.laws import not_finite

    if case := not_finite(attention):
        raise UserError(case)


def _is_users(spec: Spec | None) -> bool:
    """Whether a spec, or one among its hyperparameters, names a file or module."""
    return spec is not None and ":" in spec


def _step(model: Seq2Seq) -> tuple:
    source, lengths = jnp.ones((ROWS, POSITIONS), jnp.int32), jnp.ones(ROWS, jnp.int32)
    session, _ = model.init_with_output(jax.random.PRNGKey(0), source, lengths)
    return session.step(session.start, source[:, 0])
