"""Twelve systems' decoders with attention in plain numpy, from their equations; no code is shared with the package.

One sentence at a time: `h` [s d] are its encoder states, those of the padding included, `real` [s] is True on the
others, `s` is the decoder's state that asks, `before` the weights of the steps so far. Weights come under the package's
names, and W_c joins the context before the state (S1, Joey and TFA join them the other way round, which matters only
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


def additive(p, h, s):
    """v . tanh(h_j P + s Q)."""
    return np.array([p["v"] @ np.tanh(h_j @ p["W_k"] + s @ p["W_q"]) for h_j in h])


def additive_with_bias(p, h, s):
    """v . tanh(h_j P + b + s Q)."""
    return np.array([p["v"] @ np.tanh(h_j @ p["W_k"] + p["b"] + s @ p["W_q"]) for h_j in h])


def bilinear(p, h, s):
    """s . h_j W."""
    return np.array([s @ (h_j @ p["W"]) for h_j in h])


def opennmt_mlp(p, h, real, s, before):
    """b stands on the query's side, which is the same sum."""
    return minus_infinity(additive_with_bias(p, h, s), real)


def opennmt_general(p, h, real, s, before):
    return minus_infinity(bilinear(p, h, s), real)


def tfa_luong(p, h, real, s, before):
    """The memory of the padding is zeroed first."""
    return big_negative(bilinear(p, h * real[:, None], s), real, np.finfo(np.float32).min)


def tfa_bahdanau_normed(p, h, real, s, before):
    """v has the length g."""
    normed = p | {"v": p["g"] * p["v"] / np.sqrt((p["v"] ** 2).sum())}
    return big_negative(additive_with_bias(normed, h * real[:, None], s), real, np.finfo(np.float32).min)


def sockeye_mlp(p, h, real, s, before):
    return big_negative(additive(p, h, s), real, -99999999.0)


def sockeye_bilinear(p, h, real, s, before):
    return big_negative(bilinear(p, h, s), real, -99999999.0)


def espnet_dot(p, h, real, s, before):
    """Both sides go through a layer with tanh, and the softmax is twice as sharp."""
    asked = np.tanh(s @ p["W_q"] + p["b_q"])
    return minus_infinity(2.0 * np.array([asked @ np.tanh(h_j @ p["W_k"] + p["b_k"]) for h_j in h]), real)


def espnet_location(p, h, real, s, before):
    """A convolution F of the last weights enters; before the first step they are even. b_v is cancelled."""
    last = before[-1] if before else real / real.sum()
    width = len(p["F"])
    around = np.pad(last, width // 2)
    f = [sum(around[j + i] * p["F"][i, 0] for i in range(width)) for j in range(len(h))]
    terms = [h_j @ p["W_k"] + p["b"] + s @ p["W_q"] + f_j @ p["U"] for h_j, f_j in zip(h, f, strict=True)]
    return minus_infinity(2.0 * np.array([p["v"] @ np.tanh(term) for term in terms]), real)


def luong_concat(p, h, real, s, before):
    """No matrix on the encoder states."""
    return scores_to_zero(np.array([np.tanh(h_j + s @ p["W_q"]) @ p["v"] for h_j in h]), real)


def joeynmt_luong(p, h, real, s, before):
    return minus_infinity(bilinear(p, h, s), real)


def fairseq(p, h, real, s, before):
    return minus_infinity(bilinear(p, h, s), real)


def nematus(p, h, real, s, before):
    return product(additive_with_bias(p, h, s), real)


# What the output layer reads, from context c, state s and the symbol's vector y.


def tanh(p, c, s, y):
    return np.tanh(linear(p, c, s, y))


def tanh_with_bias(p, c, s, y):
    return np.tanh(linear_with_bias(p, c, s, y))


def linear(p, c, s, y):
    return np.concatenate([c, s]) @ p["W_c"]


def linear_with_bias(p, c, s, y):
    return linear(p, c, s, y) + p["b"]


def state(p, c, s, y):
    return s


def readout(p, c, s, y):
    """The three biases of N are one."""
    return np.tanh(y @ p["W_e"] + s @ p["W_s"] + c @ p["W_c"] + p["b"])


# Cells.


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


def stack(p, memory, x):
    """LSTM layers, one upon the other."""
    new = []
    for layer, old in enumerate(memory):
        new.append(lstm(p[f"layer_{layer}"], old, x))
        x = new[-1][-1]
    return new


# The first state: (parameters, h, real, last states of the encoder's layers) -> states of the decoder's layers.


def zero(p, h, real, last):
    return [tuple(np.zeros_like(part) for part in layer) for layer in last]


def copy(p, h, real, last):
    return last


def dense(p, h, real, last):
    """S1: a layer with tanh for c and h of every layer."""
    parts = np.split(np.tanh(last[-1][-1] @ p["bridge"]["W"] + p["bridge"]["b"]), 2 * len(last))
    return list(zip(parts[::2], parts[1::2], strict=True))


def shared(p, h, real, last):
    """Joey: the same for all."""
    one = np.tanh(last[-1][-1] @ p["bridge"]["W"] + p["bridge"]["b"])
    return [(one, one)] * len(last)


def mean(p, h, real, last):
    """N: a layer with tanh on the mean of the encoder states."""
    return [(np.tanh(h[real].mean(0) @ p["bridge"]["W"] + p["bridge"]["b"]),)]


# The step orders: (system, parameters, h, real, first state, symbol vectors) -> what the output layer reads, weights.


def luong(system, p, h, real, memory, ys):
    """x = [y; fed], s = RNN(x), c = att(s), vector = read(c, s, y); fed is the vector, or c where that is s alone."""
    size = h.shape[1] if system.read is state else len(memory[-1][-1])
    fed, vectors, weights = np.zeros(size), [], []
    for y in ys:
        memory = stack(p, memory, np.concatenate([y, fed]))
        s = memory[-1][-1]
        weights.append(system.attend(p["attention"]["score"], h, real, s, weights))
        c = weights[-1] @ h
        vectors.append(s if system.read is state else system.read(p["combination"], c, s, y))
        fed = c if system.read is state else vectors[-1]
    return vectors, weights


def espnet(system, p, h, real, memory, ys):
    """c = att(s' of the lowest layer), s = RNN([y; c])."""
    vectors, weights = [], []
    for y in ys:
        weights.append(system.attend(p["attention"]["score"], h, real, memory[0][-1], weights))
        memory = stack(p, memory, np.concatenate([y, weights[-1] @ h]))
        vectors.append(memory[-1][-1])
    return vectors, weights


def conditional_gru(system, p, h, real, memory, ys):
    """s_1 = GRU_1(y, s'), c = att(s_1), s = GRU_2(c, s_1), vector = read(c, s, y)."""
    (s,), vectors, weights = memory, [], []
    for y in ys:
        between = gru(p["layer_0"], s, y)
        weights.append(system.attend(p["attention"]["score"], h, real, between[0], weights))
        c = weights[-1] @ h
        s = gru(p["transition"], between, c)
        vectors.append(system.read(p["combination"], c, s[0], y))
    return vectors, weights


class System(NamedTuple):
    """A decoder with attention."""

    attend: Callable
    read: Callable
    first: Callable
    order: Callable = luong

    def __call__(self, p, h, real, last, ys):
        """What the output layer reads [t h] and the weights [t s] along the symbol vectors [t e]."""
        vectors, weights = self.order(self, p, h, real, self.first(p, h, real, last), ys)
        return np.array(vectors), np.array(weights)


SYSTEMS = {
    "opennmt_mlp": System(opennmt_mlp, linear_with_bias, copy),
    "opennmt_general": System(opennmt_general, tanh, copy),
    "tfa_luong": System(tfa_luong, linear, copy),
    "tfa_bahdanau_normed": System(tfa_bahdanau_normed, state, copy),
    "sockeye_mlp": System(sockeye_mlp, tanh_with_bias, dense),
    "sockeye_bilinear": System(sockeye_bilinear, tanh_with_bias, dense),
    "espnet_dot": System(espnet_dot, state, zero, espnet),
    "espnet_location": System(espnet_location, state, zero, espnet),
    "luong_concat": System(luong_concat, tanh, copy),
    "joeynmt_luong": System(joeynmt_luong, tanh_with_bias, shared),
    "fairseq": System(fairseq, tanh, copy),
    "nematus": System(nematus, readout, mean, conditional_gru),
}
