"""Normalisers: from the logits of one target step to weights.

A normaliser has a score's form: `normalizer(param, keys, query_size, **hyper)` returns a function
`(logits [b s], visible [b s], query [b q], history) -> weights [b s]`, all in float32. `visible` is True on the real
positions inside the window; elsewhere weights are exactly zero, and a row without any gets zeros and finite gradients.
"""

import jax

from attn_research.attention.scores import Keys, Param, Score
from attn_research.registry import Registry

# mass: what the weights of a step sum to: "one", or "at most one"; positional: reads where a position stands;
# remembers: reads earlier steps, so steps can't run all at once; random: draws from history.key in training;
# exact_gradient: False where what flows back is an estimate.
normalizers = Registry("normalizer", mass="one", positional=False, remembers=False, random=False, exact_gradient=True)


@normalizers.register
def softmax(param: Param, keys: Keys, query_size: int) -> Score:
    """exp(e_j) / sum_l exp(e_l)   (Bahdanau et al. 2015, eq. 6)."""
    return lambda logits, visible, query, history: jax.nn.softmax(logits, where=visible)
