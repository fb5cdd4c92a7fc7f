"""Presets: attention as a well-known system has it, all its axes at once.

`preset:NAME` on a command line, `override(config, preset(NAME))` in Python. A preset says every field of
`model.attention` and `model.decoder` but the sizes; a cell only where the system is bound to it. Between two presets
many things differ at once, and that is what they are there to show: to ask what one axis does, change that axis alone.
All attend to the encoder states unprojected, with one head.
"""

from collections.abc import Mapping
from typing import Any

from attn_research.errors import UserError
from attn_research.registry import nearest

# x = [y; fed], s = RNN(x), c = att(s), vector = combine(c, s); the vector is fed to the next step.
LUONG = {"placement": "after", "input_feeding": "attentional", "bridge": "copy"}
# The same, s_0 = tanh(W h + b), vector = tanh(W [s; c] + b).
SOCKEYE = LUONG | {"bridge": "dense", "combination": "tanh(bias=True)"}
# c = att(s'), s = RNN([y; c]), which is the vector; s_0 = 0. Where there are several layers, ESPnet's lowest one asks:
# model.decoder.placement='before(query="bottom")'.
ESPNET = {"placement": "before", "input_feeding": "none", "combination": "none", "bridge": "zero"}
# s_1 = GRU(y, s'), c = att(s_1), s = GRU(c, s_1), vector = tanh(W_e y + W_s s + W_c c + b); s_0 = tanh(W mean(h) + b).
NEMATUS = {"cell": "gru", "placement": "between", "input_feeding": "none"}
NEMATUS |= {"combination": "readout(bias=True)", "bridge": "mean"}
# s = RNN(y), c = att(s), vector = tanh(W [c; s] + b); s_0 = 0.
TRANSDUCER = {"placement": "after", "input_feeding": "none", "combination": "tanh(bias=True)", "bridge": "zero"}
# All of s_0 is one tanh(W h + b). With a GRU of several layers, say model.decoder.bridge='dense(shared=True)'.
JOEY = {"lstm": SOCKEYE | {"bridge": "dense(shared=True)"}, "gru": SOCKEYE | {"cell": "gru"}}

# TensorFlow's least float32 in place of the padding's scores.
TENSORFLOW = "filled_softmax(fill=-3.4028234663852886e+38)"


def _bundle(score: str, normalizer: str, decoder: Mapping[str, str]) -> dict[str, Any]:
    one_head = {"heads": 1, "split": True, "keys": None, "values": None, "output": None, "bias": "none"}
    attention = {"score": score, "normalizer": normalizer, "window": None, "latent": None, "query": "state"} | one_head
    fields = {f"model.attention.{name}": value for name, value in attention.items()}
    return fields | {f"model.decoder.{name}": value for name, value in decoder.items()}


PRESETS = {
    # OpenNMT-py, global_attention=mlp: v . tanh(W_k h + W_q s + b). Choosing mlp also drops the tanh of the vector
    # and gives it a bias.
    "opennmt_mlp": _bundle("concat(bias=True)", "softmax", LUONG | {"combination": "linear(bias=True)"}),
    # OpenNMT-py, global_attention=general: as Luong et al. 2015 have it.
    "opennmt_general": _bundle("general", "softmax", LUONG | {"combination": "tanh"}),
    # The same with context_gate=both: the gate reads the cell's whole input, [y; fed], and tanh(W [c; s]).
    "opennmt_context_gate": _bundle("general", "softmax", LUONG | {"combination": "gated(attentional=True, fed=True)"}),
    # TensorFlow Addons, LuongAttention (which is general) in an AttentionWrapper with an attention layer: no tanh.
    "tfa_luong": _bundle("general", TENSORFLOW, LUONG | {"combination": "linear"}),
    # TensorFlow Addons, BahdanauAttention(normalize=True) in an AttentionWrapper without attention layer, whose output
    # is the cell's: it attends after the cell, unlike Bahdanau's, so a context is first read in the next step.
    "tfa_bahdanau_normed": _bundle(
        "concat(bias=True, normed=True)", TENSORFLOW, LUONG | {"input_feeding": "context", "combination": "none"}
    ),
    # Sockeye 1.18, rnn-attention-type=mlp: no bias in the score.
    "sockeye_mlp": _bundle("concat", "filled_softmax(fill=-99999999.0)", SOCKEYE),
    # Sockeye 1.18, rnn-attention-type=bilinear, which is general.
    "sockeye_bilinear": _bundle("general", "filled_softmax(fill=-99999999.0)", SOCKEYE),
    # ESPnet 1, atype=dot: both sides go through a layer with bias and tanh, and the softmax is twice as sharp.
    "espnet_dot": _bundle('dot(activation="tanh", bias=True, project=True)', "softmax(temperature=0.5)", ESPNET),
    # ESPnet 1, atype=location, with its recipes' aconv-chans 10 and aconv-filts 100; as sharp.
    "espnet_location": _bundle("location_aware(bias=True, channels=10, reach=100)", "softmax(temperature=0.5)", ESPNET),
    # ESPnet 1, atype=coverage: the sum of all weights so far enters, even ones before the first step among them.
    "espnet_coverage": _bundle('coverage(bias=True, start="uniform")', "softmax(temperature=0.5)", ESPNET),
    # ESPnet 1, atype=coverage_location: location of that sum.
    "espnet_coverage_location": _bundle(
        'location_aware(bias=True, channels=10, reach=100, reads="coverage")', "softmax(temperature=0.5)", ESPNET
    ),
    # ESPnet 1, AttForward: location-aware, weights that only stay or move by one, at least 1e-6 each, padding too; they
    # start at the first position.
    "espnet_forward": _bundle(
        'location_aware(bias=True, channels=10, reach=100, start="first")', "clamped_forward", ESPNET
    ),
    # lmthang/nmt.matlab, the authors' own: the encoder states enter concat without a matrix.
    "luong_concat": _bundle("concat(project_keys=False)", "softmax", LUONG | {"combination": "tanh"}),
    # Joey NMT, attention=luong, which is general; the vector has a bias. With rnn_type lstm and gru.
    "joeynmt_luong": _bundle("general", "softmax", JOEY["lstm"]),
    "joeynmt_luong_gru": _bundle("general", "softmax", JOEY["gru"]),
    # Joey NMT, attention=bahdanau: no bias in the score, and everything else as with luong.
    "joeynmt_bahdanau": _bundle("concat", "softmax", JOEY["lstm"]),
    "joeynmt_bahdanau_gru": _bundle("concat", "softmax", JOEY["gru"]),
    # fairseq, lstm: general; in our letters the same as opennmt_general.
    "fairseq": _bundle("general", "softmax", LUONG | {"combination": "tanh"}),
    # shijie-wu/neural-transducer, soft attention: general (its bias is canceled), 1e-7 added to every weight.
    "neural_transducer": _bundle("general", "leaky_softmax(leak=1e-07)", TRANSDUCER),
    # Nematus: a conditional GRU attends between its two cells, and the output layer's tanh reads the symbol too.
    "nematus": _bundle("concat(bias=True)", "softmax", NEMATUS),
}


def preset(name: str) -> dict[str, Any]:
    """The changes, for `override`, that make a config attend as the system `name` does.

    Raises:
      UserError: no such preset.
    """
    if name not in PRESETS:
        raise UserError(f"unknown preset {name!r}; {nearest(name, PRESETS)}")
    return dict(PRESETS[name])
