"""The attention step of each system in plain NumPy: (parameters, h, real, s, before) -> weights [s].

Each handles one sentence at a time. `h` [s d] are its encoder states with padding, `real` [s] is False on the padding,
`s` is the query, and `before` holds the weights of the previous steps.

ONMT is OpenNMT-py, Joey JoeyNMT, FS fairseq, ESP ESPnet, S1 Sockeye 1, TFA TensorFlow Addons, LUO Luong's own code,
N Nematus.
"""

import numpy as np

# Mask rules.


def minus_infinity(e, real):
    """ONMT, Joey, FS, ESP: padding scores -inf. A sentence of padding alone gives NaN."""
    e = np.where(real, e, -np.inf)
    a = np.exp(e - e.max())
    return a / a.sum()


def big_negative(e, real, number):
    """S1, TFA: padding scores a finite number. A sentence of padding alone has uniform weights."""
    return minus_infinity(np.where(real, e, number), np.ones_like(real))


def scores_to_zero(e, real):
    """LUO: padding scores 0 and counts in the maximum. Its weights are set to zero; a sum of 0 becomes 1."""
    e = np.where(real, e, 0)
    a = np.exp(e - e.max()) * real
    return a / (a.sum() or 1)


def product(e, real):
    """N: exp(e) includes padding and is then multiplied by the mask."""
    a = np.exp(e - e.max()) * real
    return a / a.sum()


# Systems.


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
    """The original adds b to the query, which gives the same sum."""
    return minus_infinity(additive_with_bias(p, h, s), real)


def opennmt_general(p, h, real, s, before):
    return minus_infinity(bilinear(p, h, s), real)


def tfa_luong(p, h, real, s, before):
    """The encoder states of the padding are set to zero first."""
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
    """Query and keys go through a tanh layer. Logits are multiplied by 2."""
    query = np.tanh(s @ p["W_q"] + p["b_q"])
    return minus_infinity(2.0 * np.array([query @ np.tanh(h_j @ p["W_k"] + p["b_k"]) for h_j in h]), real)


def espnet_location(p, h, real, s, before):
    """Adds a convolution F of the last weights, which are uniform at first. The softmax cancels b_v."""
    last = before[-1] if before else real / real.sum()
    return minus_infinity(2.0 * location_aware(p, h, s, last), real)


def location_aware(p, h, s, last):
    """v . tanh(h_j P + b + s Q + (F * last)_j U)."""
    width = len(p["F"])
    around = np.pad(last, width // 2)
    f = [sum(around[j + i] * p["F"][i, 0] for i in range(width)) for j in range(len(h))]
    terms = [h_j @ p["W_k"] + p["b"] + s @ p["W_q"] + f_j @ p["U"] for h_j, f_j in zip(h, f, strict=True)]
    return np.array([p["v"] @ np.tanh(term) for term in terms])


def espnet_coverage_location(p, h, real, s, before):
    """Convolves the sum of all previous weights and of the uniform weights before the first step."""
    return minus_infinity(2.0 * location_aware(p, h, s, sum(before, real / real.sum())), real)


def espnet_coverage(p, h, real, s, before):
    """Adds coverage_j w. Coverage sums all previous weights and the uniform weights before the first step."""
    coverage = sum(before, real / real.sum())
    terms = [h_j @ p["W_k"] + p["b"] + s @ p["W_q"] + c_j * p["G"][0] for h_j, c_j in zip(h, coverage, strict=True)]
    return minus_infinity(2.0 * np.array([p["v"] @ np.tanh(term) for term in terms]), real)


def espnet_forward(p, h, real, s, before):
    """A softmax times the last weights and their shift by one, at least 1e-6. They start at the first position."""
    last = before[-1] if before else np.eye(len(h))[0]
    w = (last + np.concatenate([[0], last[:-1]])) * minus_infinity(location_aware(p, h, s, last), real)
    w = np.maximum(w, 1e-6)
    return w / w.sum()


def luong_concat(p, h, real, s, before):
    """No matrix on the encoder states."""
    return scores_to_zero(np.array([np.tanh(h_j + s @ p["W_q"]) @ p["v"] for h_j in h]), real)


def joeynmt_luong(p, h, real, s, before):
    return minus_infinity(bilinear(p, h, s), real)


def fairseq(p, h, real, s, before):
    return minus_infinity(bilinear(p, h, s), real)


def nematus(p, h, real, s, before):
    return product(additive_with_bias(p, h, s), real)


def joeynmt_bahdanau(p, h, real, s, before):
    return minus_infinity(additive(p, h, s), real)


def neural_transducer(p, h, real, s, before):
    """The softmax includes padding, and 1e-7 is added to every weight. It cancels the bias of the matrix."""
    e = bilinear(p, h, s)
    a = np.exp(e - e.max())
    a = a / a.sum() * real + 1e-7
    return a / a.sum()
