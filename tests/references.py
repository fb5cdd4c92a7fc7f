"""Twelve systems' decoders with attention in plain numpy, from their equations; no code is shared with the package.

One sentence at a time: `h` [s d] are its encoder states, those of the padding included, `real` [s] is True on the
others, `s` is the decoder's state that asks, `before` the weights of the steps so far. Weights come under the package's names
(W_c and its like join the context before the state; S1, Joey and TFA join them the other way round, which only matters
when weights are imported). Recurrent cells are the package's equations: what is compared is attention and step order.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# The mask rules.


def minus_infinity(e, real):
    """ONMT, Joey, FS, ESP: padding scores -inf; a sentence of padding only gives NaN."""
    e = np.where(real, e, -np.inf)
    a = np.exp(e - e.max())
    return a / a.sum()


def big_negative(e, real, number):
    """S1, TFA: padding scores a finite number; a sentence of padding only is attended to evenly."""
    return minus_infinity(np.where(real, e, number), np.ones_like(real))


def scores_to_zero(e, real):
    """LUO: padding scores 0, which counts in the maximum; its weights are zeroed, a sum of 0 becomes 1."""
    e = np.where(real, e, 0)
    a = np.exp(e - e.max()) * real
    return a / (a.sum() or 1)


def product(e, real):
    """N: exp(e) is taken of padding too, then multiplied by the mask."""
    a = np.exp(e - e.max()) * real
    return a / a.sum()


# The attention step of each system: (its parameters, h, real, s, before) -> weights [s].


def additive(p, h, s, *more):
    """v . tanh(h_j P + s Q + ...), the middle of many."""
    terms = zip(h, *more, strict=True)
    return np.array([np.tanh(h_j @ p["W_k"] + s @ p["W_q"] + sum(rest)) @ p["v"] for h_j, *rest in terms])


def bilinear(p, h, s):
    """s . h_j W."""
    return np.array([s @ (h_j @ p["W"]) for h_j in h])


def opennmt_mlp(p, h, real, s, before):
    return minus_infinity(additive(p, h, s + 0.0, [p["b"]] * len(h)), real)


def opennmt_general(p, h, real, s, before):
    return minus_infinity(bilinear(p, h, s), real)


def tfa_luong(p, h, real, s, before):
    """The memory of the padding is zeroed first."""
    return big_negative(bilinear(p, h * real[:, None], s), real, np.finfo(np.float32).min)


def tfa_bahdanau_normed(p, h, real, s, before):
    """v has the length g."""
    normed = {"W_q": p["W_q"], "W_k": p["W_k"], "v": p["g"] * p["v"] / np.sqrt((p["v"] ** 2).sum())}
    e = additive(normed, h * real[:, None], s, [p["b"]] * len(h))
    return big_negative(e, real, np.finfo(np.float32).min)


def sockeye_mlp(p, h, real, s, before):
    return big_negative(additive(p, h, s), real, -99999999.0)


def sockeye_bilinear(p, h, real, s, before):
    return big_negative(bilinear(p, h, s), real, -99999999.0)


def espnet_dot(p, h, real, s, before):
    """Both sides go through a layer with tanh, and the softmax is twice as sharp."""
    asked = np.tanh(s @ p["W_q"] + p["b_q"])
    return minus_infinity(2.0 * np.array([asked @ np.tanh(h_j @ p["W_k"] + p["b_k"]) for h_j in h]), real)


def espnet_location(p, h, real, s, before):
    """A convolution of the last weights enters; before the first step they are even."""
    last = before[-1] if before else real / real.sum()
    width, _, channels = p["F"].shape
    around = np.pad(last, width // 2)
    f = [[around[j : j + width] @ p["F"][:, 0, c] for c in range(channels)] for j in range(len(h))]
    e = additive(p, h, s, [p["b"]] * len(h), [f_j @ p["U"] for f_j in np.array(f)])
    return minus_infinity(2.0 * e, real)


def luong_concat(p, h, real, s, before):
    """No matrix on the encoder states."""
    return scores_to_zero(np.array([np.tanh(h_j + s @ p["W_q"]) @ p["v"] for h_j in h]), real)


def joeynmt_luong(p, h, real, s, before):
    return minus_infinity(bilinear(p, h, s), real)


def fairseq(p, h, real, s, before):
    return minus_infinity(bilinear(p, h, s), real)


def nematus(p, h, real, s, before):
    return product(additive(p, h, s, [p["b"]] * len(h)), real)


# What is handed to the output layer, from context c, state s and the symbol's vector y.


def tanh(p, c, s, y):
    return np.tanh(np.concatenate([c, s]) @ p["W_c"])


def tanh_with_bias(p, c, s, y):
    return np.tanh(np.concatenate([c, s]) @ p["W_c"] + p["b"])


def linear(p, c, s, y):
    return np.concatenate([c, s]) @ p["W_c"]


def linear_with_bias(p, c, s, y):
    return np.concatenate([c, s]) @ p["W_c"] + p["b"]


def state(p, c, s, y):
    return s


# Cells, and the first state.


def lstm(p, memory, x):
    c, h = memory
    i, f, g, o = np.split(np.concatenate([x, h]) @ p["W"] + p["b"], 4)
    c = sigmoid(f + 1) * c + sigmoid(i) * np.tanh(g)
    return c, sigmoid(o) * np.tanh(c)


def gru(p, memory, x):
    (h,) = memory
    r, z = np.split(sigmoid(np.concatenate([x, h]) @ p["W"] + p["b"]), 2)
    n = np.tanh(x @ p["W_n"] + p["b_n"] + r * (h @ p["U_n"] + p["c_n"]))
    return ((1 - z) * n + z * h,)


def lstms(p, memory, x):
    """A stack of layers."""
    new = []
    for layer, old in enumerate(memory):
        new.append(lstm(p[f"layer_{layer}"], old, x))
        x = new[-1][-1]
    return new


def zero(p, h, real, last):
    return [tuple(np.zeros_like(part) for part in layer) for layer in last]


def copy(p, h, real, last):
    return last


# The step orders: (system, p, h, real, first memory, symbol vectors) -> vectors, weights.


def luong(system, p, h, real, memory, ys):
    """x = [y; fed], s = RNN(x), c = att(s), vector = read(c, s); the vector is fed, or where nothing joins c and s, c."""
    fed = np.zeros(h.shape[1] if system.read is state else len(memory[-1][-1]))
    vectors, weights = [], []
    for y in ys:
        memory = lstms(p, memory, np.concatenate([y, fed]))
        s = memory[-1][-1]
        weights.append(system.attend(p["attention"]["score"], h, real, s, weights))
        c = weights[-1] @ h
        vectors.append(system.read(p["combination"] if "combination" in p else {}, c, s, y))
        fed = c if system.read is state else vectors[-1]
    return vectors, weights


def espnet(system, p, h, real, memory, ys):
    """c = att(s' of the first layer), s = RNN([y; c])."""
    vectors, weights = [], []
    for y in ys:
        weights.append(system.attend(p["attention"]["score"], h, real, memory[0][-1], weights))
        c = weights[-1] @ h
        memory = lstms(p, memory, np.concatenate([y, c]))
        vectors.append(memory[-1][-1])
    return vectors, weights


class System(NamedTuple):
    """A decoder with attention."""

    attend: Callable
    read: Callable
    order: Callable = luong
    first: Callable = copy

    def __call__(self, p, h, real, last, ys):
        """Vectors [t h] and weights [t s] along the symbol vectors [t e]."""
        vectors, weights = self.order(self, p, h, real, self.first(p, h, real, last), ys)
        return np.array(vectors), np.array(weights)


SYSTEMS = {
    "opennmt_mlp": System(opennmt_mlp, linear_with_bias),
    "opennmt_general": System(opennmt_general, tanh),
    "tfa_luong": System(tfa_luong, linear),
    "tfa_bahdanau_normed": System(tfa_bahdanau_normed, state),
    "sockeye_mlp": System(sockeye_mlp, tanh_with_bias),
    "sockeye_bilinear": System(sockeye_bilinear, tanh_with_bias),
    "espnet_dot": System(espnet_dot, state, espnet, zero),
    "espnet_location": System(espnet_location, state, espnet, zero),
    "luong_concat": System(luong_concat, tanh),
    "joeynmt_luong": System(joeynmt_luong, tanh_with_bias),
    "fairseq": System(fairseq, tanh),
}
