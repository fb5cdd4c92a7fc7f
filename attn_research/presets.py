"""Presets: the attention and decoder settings of well-known systems.

Write `preset:NAME` on a command line, or `override(config, preset(NAME))` in Python. A preset sets every field of
`model.attention` and `model.decoder` except the sizes; it sets the cell only if the system requires one. Two presets
differ in many fields at once, so they compare whole systems. To measure one field, change that field alone. All presets
attend to the unprojected encoder states with one head.
"""

from collections.abc import Mapping
from typing import Any

from attn_research.errors import UserError
from attn_research.registry import nearest

# x = [y; fed], s = RNN(x), c = att(s), vector = combine(c, s); the next step is fed the vector.
LUONG = {"placement": "after", "input_feeding": "attentional", "bridge": "copy"}
# As LUONG, with s_0 = tanh(W h + b), vector = tanh(W [s; c] + b).
SOCKEYE = LUONG | {"bridge": "dense", "combination": "tanh(bias=True)"}
# c = att(s'), s = RNN([y; c]), vector = s; s_0 = 0. With several layers, ESPnet's query is the lowest state: then set
# model.decoder.placement='before(query="bottom")'.
ESPNET = {"placement": "before", "input_feeding": "none", "combination": "none", "bridge": "zero"}
# s_1 = GRU(y, s'), c = att(s_1), s = GRU(c, s_1), vector = tanh(W_e y + W_s s + W_c c + b); s_0 = tanh(W mean(h) + b).
NEMATUS = {"cell": "gru", "placement": "between", "input_feeding": "none"}
NEMATUS |= {"combination": "readout(bias=True)", "bridge": "mean"}
# s = RNN(y), c = att(s), vector = tanh(W [c; s] + b); s_0 = 0.
TRANSDUCER = {"placement": "after", "input_feeding": "none", "combination": "tanh(bias=True)", "bridge": "zero"}
# As SOCKEYE, with one tanh(W h + b) for all of s_0. With a GRU of several layers, set
# model.decoder.bridge='dense(shared=True)'.
JOEY = {"lstm": SOCKEYE | {"bridge": "dense(shared=True)"}, "gru": SOCKEYE | {"cell": "gru"}}

# TensorFlow replaces the logits of padding by the lowest float32.
TENSORFLOW = "filled_softmax(fill=-3.4028234663852886e+38)"


def _bundle(score: str, normalizer: str, decoder: Mapping[str, str]) -> dict[str, Any]:
    one_head = {"heads": 1, "split": True, "keys": None, "values": None, "output": None, "bias": "none"}
    attention = {"score": score, "normalizer": normalizer, "window": None, "latent": None, "query": "state"} | one_head
    fields = {f"model.attention.{name}": value for name, value in attention.items()}
    return fields | {f"model.decoder.{name}": value for name, value in decoder.items()}


PRESETS = {
    # OpenNMT-py, global_attention=mlp: v . tanh(W_k h + W_q s + b). mlp also drops the tanh of the vector and adds a
    # bias to it.
    "opennmt_mlp": _bundle("concat(bias=True)", "softmax", LUONG | {"combination": "linear(bias=True)"}),
    # OpenNMT-py, global_attention=general: as in Luong et al. 2015.
    "opennmt_general": _bundle("general", "softmax", LUONG | {"combination": "tanh"}),
    # OpenNMT-py, the same with context_gate=both: the gate reads the cell's whole input, [y; fed], and tanh(W [c; s]).
    "opennmt_context_gate": _bundle("general", "softmax", LUONG | {"combination": "gated(attentional=True, fed=True)"}),
    # TensorFlow Addons, LuongAttention (general) in an AttentionWrapper with an attention layer: no tanh.
    "tfa_luong": _bundle("general", TENSORFLOW, LUONG | {"combination": "linear"}),
    # TensorFlow Addons, BahdanauAttention(normalize=True) in an AttentionWrapper without an attention layer. The output
    # is the cell's. Unlike Bahdanau's it attends after the cell, so the next step is the first to read a context.
    "tfa_bahdanau_normed": _bundle(
        "concat(bias=True, normed=True)", TENSORFLOW, LUONG | {"input_feeding": "context", "combination": "none"}
    ),
    # Sockeye 1.18, rnn-attention-type=mlp: no bias in the score.
    "sockeye_mlp": _bundle("concat", "filled_softmax(fill=-99999999.0)", SOCKEYE),
    # Sockeye 1.18, rnn-attention-type=bilinear, which is general.
    "sockeye_bilinear": _bundle("general", "filled_softmax(fill=-99999999.0)", SOCKEYE),
    # ESPnet 1, atype=dot: both sides go through a layer with bias and tanh, and the softmax is twice as sharp.
    "espnet_dot": _bundle('dot(activation="tanh", bias=True, project=True)', "softmax(temperature=0.5)", ESPNET),
    # ESPnet 1, atype=location, with aconv-chans 10 and aconv-filts 100 as in its recipes, and the same temperature.
    "espnet_location": _bundle("location_aware(bias=True, channels=10, reach=100)", "softmax(temperature=0.5)", ESPNET),
    # ESPnet 1, atype=coverage: reads the sum of all earlier weights, including uniform ones before the first step.
    "espnet_coverage": _bundle('coverage(bias=True, start="uniform")', "softmax(temperature=0.5)", ESPNET),
    # ESPnet 1, atype=coverage_location: a convolution of that sum.
    "espnet_coverage_location": _bundle(
        'location_aware(bias=True, channels=10, reach=100, reads="coverage")', "softmax(temperature=0.5)", ESPNET
    ),
    # ESPnet 1, AttForward: location-aware. The weights start at the first position, and stay or move by one. Each is at
    # least 1e-6, padding too.
    "espnet_forward": _bundle(
        'location_aware(bias=True, channels=10, reach=100, start="first")', "clamped_forward", ESPNET
    ),
    # lmthang/nmt.matlab, the authors' own code: concat does not project the encoder states.
    "luong_concat": _bundle("concat(project_keys=False)", "softmax", LUONG | {"combination": "tanh"}),
    # Joey NMT, attention=luong (general), with rnn_type lstm and gru; the vector has a bias.
    "joeynmt_luong": _bundle("general", "softmax", JOEY["lstm"]),
    "joeynmt_luong_gru": _bundle("general", "softmax", JOEY["gru"]),
    # Joey NMT, attention=bahdanau: no bias in the score; the rest is as with luong.
    "joeynmt_bahdanau": _bundle("concat", "softmax", JOEY["lstm"]),
    "joeynmt_bahdanau_gru": _bundle("concat", "softmax", JOEY["gru"]),
    # fairseq, lstm: general; here the same as opennmt_general.
    "fairseq": _bundle("general", "softmax", LUONG | {"combination": "tanh"}),
    # shijie-wu/neural-transducer, soft attention: general (its bias is canceled), 1e-7 added to every weight.
    "neural_transducer": _bundle("general", "leaky_softmax(leak=1e-07)", TRANSDUCER),
    # Nematus: a conditional GRU, which attends between its two cells. The output layer's tanh reads the symbol too.
    "nematus": _bundle("concat(bias=True)", "softmax", NEMATUS),
}


def preset(name: str) -> dict[str, Any]:
    """Returns the fields that a preset sets, for `override`.

    Raises:
      UserError: there is no preset of this name.
    """
    if name not in PRESETS:
        raise UserError(f"unknown preset {name!r}; {nearest(name, PRESETS)}")
    return dict(PRESETS[name])
