"""Presets: attention as a well-known system has it, all its axes at once.

`preset:NAME` on a command line, `override(config, preset(NAME))` in Python. A preset says every field of
`model.attention` and `model.decoder` but the sizes. Between two presets many things differ at once: that is what they
show. To ask what one axis does, change that axis alone.
"""

from collections.abc import Mapping
from typing import Any

from attn_research.registry import nearest

WHOLE = {"window": None, "query": "state", "heads": 1, "split": True, "keys": None, "values": None, "output": None}


def _bundle(attention: Mapping[str, Any], decoder: Mapping[str, Any]) -> dict[str, Any]:
    """By the config's names; one head looks at all of the encoder states, unprojected."""
    fields = {f"model.attention.{name}": value for name, value in (WHOLE | attention).items()}
    return fields | {f"model.decoder.{name}": value for name, value in decoder.items()}


# x = [y; fed], s = RNN(x), c = att(s), vector = combine(c, s), which is fed.
LUONG = {"placement": "after", "input_feeding": "attentional", "bridge": "copy"}
# c = att(s'), s = RNN([y; c]), and s is the vector.
ESPNET = {"placement": "before", "input_feeding": "none", "combination": "none", "bridge": "zero"}

PRESETS = {
    # OpenNMT-py, `global_attention: general`.
    "opennmt_general": _bundle({"score": "general", "normalizer": "softmax"}, LUONG | {"combination": "tanh"}),
    # TensorFlow Addons 0.x, LuongAttention in an AttentionWrapper with an attention layer, which has no tanh.
    "tfa_luong": _bundle({"score": "general", "normalizer": "softmax"}, LUONG | {"combination": "linear"}),
    # fairseq, lstm: in our letters the same as opennmt_general.
    "fairseq": _bundle({"score": "general", "normalizer": "softmax"}, LUONG | {"combination": "tanh"}),
}


def preset(name: str) -> dict[str, Any]:
    """The changes, for `override`, that make a config attend as the system `name` does.

    Raises:
      ValueError: no such preset.
    """
    if name not in PRESETS:
        raise ValueError(f"unknown preset {name!r}; {nearest(name, PRESETS)}")
    return dict(PRESETS[name])
