"""Monotonic normalizers: attention moves along the source, from where the last step attended."""

from collections.abc import Callable
from typing import Annotated

import jax
import jax.numpy as jnp
from flax import linen as nn

from attn_research.annotations import Logit, Range, Trace
from attn_research.attention.guard import build
from attn_research.attention.history import History, StatefulComponent, previous_weights
from attn_research.attention.normalizers import Mask, Row, normalizers
from attn_research.attention.scores import Keys, Param, Score, scores
from attn_research.registry import Spec, require

Noise = Annotated[float, Range(minimum=0, maximum=1e6)]
Width = Annotated[int, Range(minimum=2, maximum=65_536)]


@normalizers.register(mass="at most one", positional=True, remembers=True, random=True)
def monotonic(
    param: Param, keys: Keys, query_size: int, noise: Noise = 0.0, offset: Logit = 0.0, hard_decoding: bool = False
) -> StatefulComponent:
    """a_j = p_j q_j, q_j = (1 - p_{j-1}) q_{j-1} + a'_j, p = sigma(e + r + noise N(0, 1))   (Raffel et al. 2017).

    a is the expected alignment of a scan that stops at j with probability p_j. a' is the a of the last step; before the
    first step it is all on position 0. r is learned and starts at `offset`. The noise is for training only. Systems
    that divide by the product of the 1 - p (the parallel form, as in TensorFlow Addons) lose the mass after a p of
    exactly 1. With `hard_decoding`, p = [e + r > 0] outside training, as the paper decodes (section 2.2): the first
    such position at or after the last one has all the weight. If there is none, this and all later steps have no
    weight. The dev loss is then that of hard weights too.
    """
    return _monotonic(param, keys, noise, offset, hard_decoding, lambda alpha, visible, query, history: alpha)


@normalizers.register(mass="at most one", positional=True, remembers=True, random=True)
def mocha(
    param: Param,
    keys: Keys,
    query_size: int,
    score: Spec = Spec("concat"),
    width: Width = 2,
    noise: Noise = 0.0,
    offset: Logit = 0.0,
    hard_decoding: bool = False,
) -> StatefulComponent:
    """sum_{k=j}^{j+w-1} a_k exp(u_j) / sum_{l=k-w+1}^{k} exp(u_l), a that of `monotonic`   (Chiu & Raffel 2018).

    Where the scan stops, a softmax runs over the last w positions. Its energy u is a score with its own parameters.
    With w = 1 it is `monotonic`. `hard_decoding` is as in `monotonic`; the paper decodes with it.
    """
    energy = _energy("mocha", param, keys, query_size, score)
    return _monotonic(param, keys, noise, offset, hard_decoding, chunkwise(energy, width))


@normalizers.register(mass="at most one", positional=True, remembers=True, random=True)
def milk(
    param: Param,
    keys: Keys,
    query_size: int,
    score: Spec = Spec("concat"),
    noise: Noise = 0.0,
    offset: Logit = 0.0,
    hard_decoding: bool = False,
) -> StatefulComponent:
    """`mocha` with a softmax from the start of the source   (Arivazhagan et al. 2019)."""
    energy = _energy("milk", param, keys, query_size, score)
    return _monotonic(param, keys, noise, offset, hard_decoding, chunkwise(energy, width=keys.shape[1]))


@normalizers.register(mass="at most one", positional=True, remembers=True)
def forward(param: Param, keys: Keys, query_size: int, agent: bool = False) -> Score | StatefulComponent:
    """a_j = w_j (a'_j + a'_{j-1}) / sum, w = softmax(e), a' starts at position 0   (Zhang et al. 2018).

    With `agent`, w_j (u a'_j + (1 - u) a'_{j-1}) / sum. u, the probability of staying, is 1/2 at the first step, then
    sigma(W [c; q] + b) of the last step, c the weighted sum of the keys. The paper's u is the probability of moving.
    If the window hides every position that a' reaches, no weight is left; `clamped_forward` has ESPnet's clamp
    against that.
    """

    def normalize(transition, logits, visible):
        reachable = visible & (transition > jnp.finfo(transition.dtype).tiny)
        return jax.nn.softmax(logits + jnp.log(jnp.where(reachable, transition, 1)), where=reachable)

    return _forward(param, keys, query_size, agent, normalize)


@normalizers.register(positional=True, remembers=True, leaks=True)
def clamped_forward(
    param: Param, keys: Keys, query_size: int, agent: bool = False, clamp: Trace = 1e-6
) -> Score | StatefulComponent:
    """`forward` with w_j (a'_j + a'_{j-1}), padding too, at least `clamp` before the division by the sum   (ESPnet)."""

    def normalize(transition, logits, visible):
        clamped = jnp.maximum(transition * jax.nn.softmax(logits, where=visible), clamp)
        return clamped / clamped.sum(-1, keepdims=True)

    return _forward(param, keys, query_size, agent, normalize)


def _monotonic(
    param: Param, keys: Keys, noise: float, offset: float, hard_decoding: bool, to_weights: Callable
) -> StatefulComponent:
    """Returns a component that remembers the monotonic alignment; `to_weights` turns it into weights."""
    r, first = param("r", nn.initializers.constant(offset), ()), _first_position(keys)

    def alpha(logits: Row, visible: Mask, history: History) -> Row:
        if history.key is not None:
            logits = logits + noise * jax.random.normal(history.key, logits.T.shape, logits.dtype).T
        hard = hard_decoding and history.key is None
        p = (logits + r > 0).astype(logits.dtype) if hard else nn.sigmoid(logits + r)
        return expected_alignment(jnp.where(visible, p, 0), history.memory).astype(first.dtype)

    def step(logits, visible, query, history):
        return to_weights(alpha(logits, visible, history), visible, query, history)

    return StatefulComponent(
        first, step, lambda step_result, history: alpha(step_result.logits, step_result.visible, history)
    )


@jax.jit
def expected_alignment(p: Row, previous: Row) -> Row:
    """Returns p_j q_j, q_j = (1 - p_{j-1}) q_{j-1} + previous_j, by a scan over positions: exact even if a p is 1."""

    def join(left, right):
        return left[0] * right[0], left[1] * right[0] + right[1]

    pass_probability = jnp.pad(1 - p, ((0, 0), (1, 0)))[:, :-1]
    return p * jax.lax.associative_scan(join, (pass_probability, previous), axis=1)[1]


def chunkwise(energy: Callable, width: int) -> Callable:
    """Returns alpha -> beta_j = sum_k alpha_k softmax(u_{k-width+1} ... u_k)_j, u the visible energies."""

    def to_weights(alpha, visible, query, history):
        u = energy(query, history).astype(alpha.dtype)
        k, j = jnp.arange(u.shape[1])[:, None], jnp.arange(u.shape[1])[None]
        inside = ((j <= k) & (j > k - width))[None] & visible[:, None]
        chunks = jax.nn.softmax(jnp.broadcast_to(u[:, None], inside.shape), where=inside)
        return jnp.einsum("bk,bkj->bj", alpha, chunks)

    return to_weights


def _energy(normalizer: str, param: Param, keys: Keys, query_size: int, score: Spec) -> Callable:
    """Returns the second energy: a score whose parameter names start with `chunk_`."""
    bound = scores.bind(score)
    is_allowed = bound.traits.attends and not bound.traits.remembers and not bound.traits.limit
    require(
        is_allowed,
        f"score of normalizer {normalizer!r} is {str(score)!r}, but must attend, remember nothing and have no limit",
    )
    return build("score", bound, lambda name, *args: param(f"chunk_{name}", *args), keys, query_size)


def _forward(param: Param, keys: Keys, query_size: int, agent: bool, normalize: Callable) -> Score | StatefulComponent:
    first = _first_position(keys)

    def step(logits, visible, query, history):
        previous = previous_weights(history, first).astype(first.dtype)
        stay, move = (history.memory, 1 - history.memory) if agent else (1, 1)
        transition = stay * previous + move * jnp.pad(previous, ((0, 0), (1, 0)))[:, :-1]
        return normalize(transition, logits, visible)

    return _with_agent(param, keys, query_size, step) if agent else step


def _with_agent(param: Param, keys: Keys, query_size: int, step: Callable) -> StatefulComponent:
    """Returns a component that remembers u [b 1], the probability of staying at the next step."""
    W = param("W", nn.initializers.glorot_uniform(), (keys.shape[-1] + query_size, 1))
    b = param("b", nn.initializers.zeros, (1,))
    half = jnp.full_like(_first_position(keys)[:, :1], 0.5)

    def update(step_result, history):
        context = jnp.einsum("bs,bsk->bk", step_result.weights, keys.astype(step_result.weights.dtype))
        return nn.sigmoid(jnp.concatenate([context, step_result.query], -1) @ W + b[None]).astype(half.dtype)

    return StatefulComponent(half, step, update)


def _first_position(keys: Keys) -> Row:
    """Returns all weight on position 0, in float32 at least."""
    dtype = jnp.promote_types(keys.dtype, jnp.float32)
    return jnp.zeros(keys.shape[:2], dtype).at[:, 0].set(1)
