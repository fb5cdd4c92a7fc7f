"""Normalizers: turn the logits of one target step into weights.

A normalizer has a score's form: `normalizer(param, keys, query_size, **hyper)` returns a function
`(logits [b s], visible [b s], query [b q], history) -> weights [b s]`, all in float32 at least. `visible` is True on
the real positions inside the window. Weights are exactly zero elsewhere. A row without visible positions gets zeros and
finite gradients.
"""

import math

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float

from attn_research.annotations import Factor, Logit, Positions, Trace
from attn_research.attention.scores import Keys, Param, Score
from attn_research.registry import Registry

# mass: the sum of a step's weights if a position is visible, "one" or "at most one".
# positional: reads the index of a key.
# remembers: reads earlier steps, so steps cannot run all at once.
# random: draws from history.key in training.
# exact_gradient: False if the gradient is an estimate.
# leaks: gives weight to padding against the law, to reproduce another system.
normalizers = Registry(
    "normalizer", mass="one", positional=False, remembers=False, random=False, exact_gradient=True, leaks=False
)

Row = Float[Array, "b s"]
Mask = Bool[Array, "b s"]


@normalizers.register
def softmax(param: Param, keys: Keys, query_size: int, temperature: Factor = 1.0, learned: bool = False) -> Score:
    """exp(e_j / T) / sum_l exp(e_l / T)   (Bahdanau et al. 2015, eq. 6).

    With `learned`, T starts at `temperature`, and log T is the parameter. ESPnet's "scaling" of 2 is T = 0.5.
    """
    T = jnp.exp(param("log_T", nn.initializers.constant(math.log(temperature)), ())) if learned else temperature
    return lambda logits, visible, query, history: jax.nn.softmax(logits / T, where=visible)


@normalizers.register(leaks=True)
def filled_softmax(param: Param, keys: Keys, query_size: int, fill: float = -99999999.0) -> Score:
    """exp(e_j) / sum_l exp(e_l) over all positions, e_l = `fill` where not visible   (Sockeye, TensorFlow Addons).

    The fill is -99999999 in Sockeye, the lowest number of the dtype in gs2s and TensorFlow Addons, and -1e10 in
    bentrevett's code. Padding gets weight if every real logit is below `fill` or nothing is visible. XNMT adds -100 to
    the padding's logits instead.
    """
    return lambda logits, visible, query, history: jax.nn.softmax(jnp.where(visible, logits, fill))


@normalizers.register(leaks=True)
def leaky_softmax(param: Param, keys: Keys, query_size: int, leak: Trace = 1e-7) -> Score:
    """w_j / sum_l w_l with w = softmax(e) visible + leak, the softmax over padding too   (neural-transducer)."""

    def weights(logits, visible, query, history):
        w = jax.nn.softmax(logits) * visible + leak
        return w / w.sum(-1, keepdims=True)

    return weights


@normalizers.register(mass="at most one")
def sink(param: Param, keys: Keys, query_size: int, logit: Logit = 0.0, learned: bool = True) -> Score:
    """exp(e_j) / (exp(e_0) + sum_l exp(e_l))   (with `logit=0, learned=False` the "softmax one" of Miller 2023).

    A null slot takes the rest of the mass. Its logit e_0 is learned and starts at `logit`.
    """
    null = param("logit", nn.initializers.constant(logit), ()) if learned else logit

    def weights(logits, visible, query, history):
        joined = jnp.concatenate([logits, jnp.full_like(logits[:, :1], null)], -1)
        return jax.nn.softmax(joined, where=jnp.pad(visible, ((0, 0), (0, 1)), constant_values=True))[:, :-1]

    return weights


@normalizers.register
def sigmoid(param: Param, keys: Keys, query_size: int) -> Score:
    """sigma(e_j) / sum_l sigma(e_l)   (the smoothing of Chorowski et al. 2015, section 2.3)."""
    return lambda logits, visible, query, history: jax.nn.softmax(jax.nn.log_sigmoid(logits), where=visible)


@normalizers.register
def top_k(param: Param, keys: Keys, query_size: int, k: Positions = 4) -> Score:
    """Softmax over the k largest logits, and those equal to the k-th   (Zhao et al. 2019, explicit selection)."""

    def weights(logits, visible, query, history):
        largest, _ = jax.lax.top_k(jnp.where(visible, logits, -jnp.inf), min(k, logits.shape[1]))
        return jax.nn.softmax(logits, where=visible & (logits >= largest[:, -1:]))

    return weights


@normalizers.register(exact_gradient=False)
def hard(param: Param, keys: Keys, query_size: int) -> Score:
    """1 at the largest logit, with the gradient of the softmax   (straight-through, Bengio et al. 2013)."""
    return lambda logits, visible, query, history: harden(jax.nn.softmax(logits, where=visible))


@normalizers.register(random=True, exact_gradient=False)
def gumbel(
    param: Param, keys: Keys, query_size: int, temperature: Factor = 1.0, straight_through: bool = False
) -> Score:
    """softmax((e + g) / T), g from Gumbel(0, 1) in training and 0 otherwise   (Jang et al. 2017, eq. 2).

    With `straight_through`, weights are 1 at the largest and have the gradient of the softmax.
    """

    def weights(logits, visible, query, history):
        if history.key is not None:
            logits = logits + jax.random.gumbel(history.key, logits.T.shape, logits.dtype).T
        soft = jax.nn.softmax(logits / temperature, where=visible)
        return harden(soft) if straight_through else soft

    return weights


def harden(soft: Row) -> Row:
    """Returns 1 at the largest weight, or zeros if all are 0. The gradient is that of `soft`."""
    largest = jax.nn.one_hot(soft.argmax(-1), soft.shape[-1], dtype=soft.dtype) * (soft > 0)
    return largest + (soft - jax.lax.stop_gradient(soft))
