"""The recurrent layers of PyTorch in plain NumPy, from their documentation, on state dicts. No code of the package."""

import numpy as np
from reference_cells import sigmoid


def linear(p, name, x):
    """`torch.nn.Linear`: x W^T + b, W [out in]."""
    return x @ p[f"{name}.weight"].T + p.get(f"{name}.bias", 0)


def softmax(e):
    a = np.exp(e - e.max())
    return a / a.sum()


def sparsemax(e):
    """The Euclidean projection of e onto the simplex."""
    z = np.sort(e)[::-1]
    k = np.arange(1, len(z) + 1)
    support = k[1 + k * z > np.cumsum(z)].max()
    return np.maximum(e - (z[:support].sum() - 1) / support, 0)


def cell(w_ih, w_hh, b_ih, b_hh, x, state):
    """One step of an LSTM, GRU or RNN, by the number of gates; the state is (h, c) or (h,)."""
    h, gates = state[0], len(w_ih) // w_hh.shape[1]
    a, b = w_ih @ x + b_ih, w_hh @ h + b_hh
    if gates == 1:
        return (np.tanh(a + b),)
    if gates == 3:
        (r_a, z_a, n_a), (r_b, z_b, n_b) = np.split(a, 3), np.split(b, 3)
        r, z = sigmoid(r_a + r_b), sigmoid(z_a + z_b)
        return ((1 - z) * np.tanh(n_a + r * n_b) + z * h,)
    i, f, g, o = np.split(a + b, 4)
    c = sigmoid(f) * state[1] + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def cell_weights(p, pattern):
    return [p[pattern.format(part)] for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]


def count_layers(p, pattern):
    """The number of layers; `pattern` has {layer} for the number of a layer."""
    return next(n for n in range(99) if pattern.format(layer=n).format("weight_hh") not in p)


def encode(p, prefix, xs):
    """`torch.nn.LSTM`, GRU or RNN over one sentence [s e], in one direction or both.

    Returns outputs [s d h], and every array of the last state, (h_n, c_n) or (h_n,), each [layers d h].
    """
    pattern = prefix + ".{{}}_l{layer}"
    ways = ("", "_reverse") if f"{prefix}.weight_ih_l0_reverse" in p else ("",)
    finals = []
    for layer in range(count_layers(p, pattern)):
        outputs = []
        for way in ways:
            weights = cell_weights(p, pattern.format(layer=layer) + way)
            hidden = weights[1].shape[1]
            state = (np.zeros(hidden),) * (2 if len(weights[1]) == 4 * hidden else 1)
            steps = []
            for x in xs[::-1] if way else xs:
                state = cell(*weights, x, state)
                steps.append(state[0])
            outputs.append(steps[::-1] if way else steps)
            finals.append(state)
        xs = np.concatenate([np.array(steps) for steps in outputs], -1)
    return xs, tuple(np.array(part) for part in zip(*finals, strict=True))


def join_directions(p, prefix, final):
    """[layers * d h] -> [layers d * h]: the forward state of a layer, then its backward state."""
    ways = 2 if f"{prefix}.weight_ih_l0_reverse" in p else 1
    return tuple(part.reshape(len(part) // ways, -1) for part in final)


def decode_layers(p, pattern, x, states):
    """One step of stacked cells; `states` are (h, c) or (h,) of every layer."""
    new = []
    for layer, state in enumerate(states):
        new.append(cell(*cell_weights(p, pattern.format(layer=layer)), x, state))
        x = new[-1][0]
    return new
