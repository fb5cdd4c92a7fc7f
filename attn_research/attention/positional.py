"""Positional scores, which read the index of a key."""

import jax.numpy as jnp
from flax import linen as nn

from attn_research.annotations import Positions
from attn_research.attention.guard import build
from attn_research.attention.scores import Keys, Param, Score, scores, weight_init
from attn_research.errors import UserError
from attn_research.registry import Spec

GENERAL = Spec("general")


@scores.register(content=False, positional=True, limit="max_length")
def location(param: Param, keys: Keys, query_size: int, max_length: Positions = 64) -> Score:
    """(W q)_j, from the query alone   (Luong et al. 2015, eq. 9).

    `max_length` bounds the length of a source; padding may be longer.
    """
    W = param("W", weight_init, (query_size, max_length))
    s = keys.shape[1]
    columns = jnp.pad(W, ((0, 0), (0, max(s - max_length, 0))))[:, :s]
    return lambda query, history: query @ columns


@scores.register(positional=True)
def relative(param: Param, keys: Keys, query_size: int, score: Spec = GENERAL, reach: Positions = 8) -> Score:
    """score(k_j, q) + B_(j - t), j - t cut to -reach .. reach   (the bias of Raffel et al. 2020, on any content score).

    t counts target steps from 0. Shaw et al. 2018 clip the same way, but add vectors to the keys.
    """
    bound = scores.bind(score)
    traits = bound.traits
    if not (traits.attends and traits.content) or traits.positional or traits.remembers or traits.random:
        raise UserError(f"score of score 'relative' is {str(score)!r}, but must read the content and nothing else")
    content = build("score", bound, param, keys, query_size)
    B = param("B", nn.initializers.normal(0.1), (2 * reach + 1,))
    positions = jnp.arange(keys.shape[1])

    def logits(query, history):
        offsets = jnp.clip(positions - history.step, -reach, reach)
        return content(query, history) + B[offsets + reach][None]

    return logits
