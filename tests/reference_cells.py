"""Recurrent cells in plain NumPy: functions of parameters `p`, the state and the input x [... i] -> the next state.

They share no code with the package.
"""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def rnn(p, state, x):
    return (np.tanh(np.concatenate([x, state[0]], -1) @ p["W"] + p["b"]),)


def gru(p, state, x):
    h = state[0]
    r, z = np.split(sigmoid(np.concatenate([x, h], -1) @ p["W"] + p["b"]), 2, -1)
    n = np.tanh(x @ p["W_n"] + p["b_n"] + r * (h @ p["U_n"] + p["c_n"]))
    return ((1 - z) * n + z * h,)


def lstm(p, state, x):
    c, h = state
    i, f, g, o = np.split(np.concatenate([x, h], -1) @ p["W"] + p["b"], 4, -1)
    c = sigmoid(f + 1) * c + sigmoid(i) * np.tanh(g)
    return c, sigmoid(o) * np.tanh(c)
