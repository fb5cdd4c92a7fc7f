"""The decoders of well-known systems in plain NumPy, from their equations. They share no code with the package.

Each handles one sentence at a time, as in reference_weights.py. Parameters have the package's names. W_c multiplies the
context before the state. S1, Joey and TFA concatenate them in the other order, which matters only for imported weights.
Recurrent cells have the package's equations: the tests compare attention and step order.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from reference_cells import gru, lstm, sigmoid
from reference_weights import (
    espnet_coverage,
    espnet_coverage_location,
    espnet_dot,
    espnet_forward,
    espnet_location,
    fairseq,
    joeynmt_bahdanau,
    joeynmt_luong,
    luong_concat,
    nematus,
    neural_transducer,
    opennmt_general,
    opennmt_mlp,
    sockeye_bilinear,
    sockeye_mlp,
    tfa_bahdanau_normed,
    tfa_luong,
)  # fmt: skip

# Combinations: (parameters, context c, state s, symbol vector y) -> the input of the output layer.


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
    """The three biases of N are added up to one."""
    return np.tanh(y @ p["W_e"] + s @ p["W_s"] + c @ p["W_c"] + p["b"])


def context_gate(p, c, s, y):
    """ONMT, gate "both". The linear layers have biases; the attention's own tanh(W_a [c; s]) has none."""
    a = np.tanh(np.concatenate([c, s]) @ p["W_a"])
    z = sigmoid(np.concatenate([y, s, a]) @ p["W_z"] + p["b_z"])
    source, target = a @ p["W_s"] + p["b_s"], np.concatenate([y, s]) @ p["W_t"] + p["b_t"]
    return np.tanh((1 - z) * target + z * source)


def run_layers(p, memory, x):
    """One step through all layers. A state of two arrays belongs to an LSTM."""
    new = []
    for layer, old in enumerate(memory):
        new.append((lstm if len(old) == 2 else gru)(p[f"layer_{layer}"], old, x))
        x = new[-1][-1]
    return new


# Bridges: (parameters, h, real, last states of the encoder's layers) -> initial states of the decoder's layers.


def zero(p, h, real, last):
    return [tuple(np.zeros_like(part) for part in layer) for layer in last]


def copy(p, h, real, last):
    return last


def dense(p, h, real, last):
    """S1: a tanh layer for c and h of every decoder layer."""
    parts = np.split(np.tanh(last[-1][-1] @ p["bridge"]["W"] + p["bridge"]["b"]), 2 * len(last))
    return list(zip(parts[::2], parts[1::2], strict=True))


def shared(p, h, real, last):
    """Joey: one tanh layer, the same state for all."""
    one = np.tanh(last[-1][-1] @ p["bridge"]["W"] + p["bridge"]["b"])
    return [(one, one)] * len(last)


def shared_gru(p, h, real, last):
    """Joey: the same for a state of one array."""
    return [(np.tanh(last[-1][-1] @ p["bridge"]["W"] + p["bridge"]["b"]),)] * len(last)


def mean(p, h, real, last):
    """N: a tanh layer on the mean of the encoder states."""
    return [(np.tanh(h[real].mean(0) @ p["bridge"]["W"] + p["bridge"]["b"]),)]


# Step orders: (system, parameters, h, real, initial state, symbol vectors) -> inputs of the output layer, weights.


def luong(system, p, h, real, memory, ys):
    """x = [y; fed], s = RNN(x), c = att(s), vector = read(c, s, y). `fed` is the vector, or c if the vector is s alone.

    A context gate reads x instead of y.
    """
    size = h.shape[1] if system.read is state else len(memory[-1][-1])
    fed, vectors, weights = np.zeros(size), [], []
    for y in ys:
        x = np.concatenate([y, fed])
        memory = run_layers(p, memory, x)
        s = memory[-1][-1]
        weights.append(system.attend(p["attention"]["score"], h, real, s, weights))
        c = weights[-1] @ h
        y = x if system.read is context_gate else y
        vectors.append(s if system.read is state else system.read(p["combination"], c, s, y))
        fed = c if system.read is state else vectors[-1]
    return vectors, weights


def without_feeding(system, p, h, real, memory, ys):
    """s = RNN(y), c = att(s), vector = read(c, s, y)."""
    vectors, weights = [], []
    for y in ys:
        memory = run_layers(p, memory, y)
        s = memory[-1][-1]
        weights.append(system.attend(p["attention"]["score"], h, real, s, weights))
        vectors.append(system.read(p["combination"], weights[-1] @ h, s, y))
    return vectors, weights


def espnet(system, p, h, real, memory, ys):
    """c = att(previous s of the lowest layer), s = RNN([y; c])."""
    vectors, weights = [], []
    for y in ys:
        weights.append(system.attend(p["attention"]["score"], h, real, memory[0][-1], weights))
        memory = run_layers(p, memory, np.concatenate([y, weights[-1] @ h]))
        vectors.append(memory[-1][-1])
    return vectors, weights


def conditional_gru(system, p, h, real, memory, ys):
    """s_1 = GRU_1(y, previous s), c = att(s_1), s = GRU_2(c, s_1), vector = read(c, s, y)."""
    (s,), vectors, weights = memory, [], []
    for y in ys:
        between = gru(p["layer_0"], s, y)
        weights.append(system.attend(p["attention"]["score"], h, real, between[0], weights))
        c = weights[-1] @ h
        s = gru(p["transition"], between, c)
        vectors.append(system.read(p["combination"], c, s[0], y))
    return vectors, weights


class System(NamedTuple):
    """A decoder with attention: a score with its mask rule, a combination, a bridge and a step order."""

    attend: Callable
    read: Callable
    first: Callable
    order: Callable = luong

    def __call__(self, p, h, real, last, ys):
        """Returns inputs of the output layer [t h] and weights [t s] for symbol vectors [t e]."""
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
    "opennmt_context_gate": System(opennmt_general, context_gate, copy),
    "espnet_forward": System(espnet_forward, state, zero, espnet),
    "espnet_coverage": System(espnet_coverage, state, zero, espnet),
    "espnet_coverage_location": System(espnet_coverage_location, state, zero, espnet),
    "joeynmt_luong_gru": System(joeynmt_luong, tanh_with_bias, shared_gru),
    "joeynmt_bahdanau": System(joeynmt_bahdanau, tanh_with_bias, shared),
    "joeynmt_bahdanau_gru": System(joeynmt_bahdanau, tanh_with_bias, shared_gru),
    "neural_transducer": System(neural_transducer, tanh_with_bias, zero, without_feeding),
    "fairseq": System(fairseq, tanh, copy),
    "nematus": System(nematus, readout, mean, conditional_gru),
}
