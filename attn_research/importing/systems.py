"""The systems whose checkpoints can be imported: one table of parameter names and layouts for each.

A matrix of `torch.nn.Linear` is [out in], ours is [in out]. Their LSTM has gates i, f, g, o, like ours, and their GRU
r, z, n; both have two biases. Sources: onmt/decoders/decoder.py, onmt/modules/global_attention.py and gate.py of
OpenNMT-py 0.9 to 3.5; joeynmt/encoders.py, decoders.py and attention.py of Joey NMT 0.9 to 2.3;
fairseq/models/lstm.py of fairseq 0.6 to 0.12.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from attn_research.errors import UserError, nearest
from attn_research.importing.symbols import Specials
from attn_research.presets import preset

ZEROS = ""  # in place of a name: an array of zeros, for a bias that the system does not have
Fields = Mapping[str, Any]


class Layout(NamedTuple):
    """How a parameter of theirs becomes one of ours."""

    convert: Callable  # their array -> ours
    shape: Callable  # shape of ours -> shape of theirs


def _swap(array: np.ndarray) -> np.ndarray:
    """Returns W for [c; h] of their [out in] matrix for [h; c], where out is the size of h."""
    hidden = len(array)
    return np.concatenate([array.T[hidden:], array.T[:hidden]])


SAME = Layout(lambda array: array, lambda shape: shape)
TRANSPOSED = Layout(np.transpose, lambda shape: shape[::-1])
SWAPPED = Layout(_swap, lambda shape: shape[::-1])
ROW = Layout(lambda array: array[0], lambda shape: (1, *shape))


class Option(NamedTuple):
    """A hyperparameter that the parameters do not show."""

    values: Mapping[str, Fields | str]  # config fields of each value; a text says why it cannot be imported
    needed: Callable | None  # (names of the parameters) -> whether it must be given or has no effect; None: never


class System(NamedTuple):
    """Names of a system's parameters and the config that they mean. Names are those of its state dict."""

    title: str
    specials: Specials
    encoder: tuple[str, ...]  # patterns of the names in a recurrent layer, of which a checkpoint has one
    decoder: tuple[str, ...]
    # (layout, name, alternative names ...) of each of our arrays; of several names the first that exists counts
    arrays: Mapping[str, tuple[Any, ...]]
    fields: tuple[tuple[str | None, Fields], ...]  # config fields if a parameter exists; later ones win
    options: Mapping[str, Option]
    unsupported: Mapping[str, str]  # what a part of a parameter's name shows that cannot be imported

    @property
    def parameters(self) -> set[str]:
        """The names of all parameters outside the recurrent layers."""
        return {name for _, *names in self.arrays.values() for name in names if name}


GATE = "decoder.context_gate.context_gate"
BRIDGE, COMBINATION = "model.decoder.bridge", "model.decoder.combination"
SCORE, NORMALIZER = "model.attention.score", "model.attention.normalizer"


def _gate(kind: str) -> Fields:
    return {COMBINATION: f"gated(attentional=True, fed={{fed}}, gate={kind!r})"}


OPENNMT = System(
    title="OpenNMT-py",
    specials=Specials(("<blank>", "<s>", "</s>", "<unk>"), (), start="<s>", ends_source=False),
    encoder=("encoder.rnn.{part}_l{layer}{reverse}",),
    decoder=("decoder.rnn.layers.{layer}.{part}", "decoder.rnn.{part}_l{layer}"),
    arrays={
        "source_embedding": (SAME, "encoder.embeddings.make_embedding.emb_luts.0.weight"),
        "target_embedding": (SAME, "decoder.embeddings.make_embedding.emb_luts.0.weight"),
        "decoder/attention/score/W": (SAME, "decoder.attn.linear_in.weight"),
        "decoder/attention/score/W_k": (TRANSPOSED, "decoder.attn.linear_context.weight"),
        "decoder/attention/score/W_q": (TRANSPOSED, "decoder.attn.linear_query.weight"),
        "decoder/attention/score/b": (SAME, "decoder.attn.linear_query.bias"),
        "decoder/attention/score/v": (ROW, "decoder.attn.v.weight"),
        "decoder/combination/W_c": (TRANSPOSED, "decoder.attn.linear_out.weight"),
        "decoder/combination/b": (SAME, "decoder.attn.linear_out.bias"),
        "decoder/combination/W_a": (TRANSPOSED, "decoder.attn.linear_out.weight"),
        "decoder/combination/W_z": (TRANSPOSED, f"{GATE}.gate.weight"),
        "decoder/combination/b_z": (SAME, f"{GATE}.gate.bias"),
        "decoder/combination/W_s": (TRANSPOSED, f"{GATE}.source_proj.weight"),
        "decoder/combination/b_s": (SAME, f"{GATE}.source_proj.bias"),
        "decoder/combination/W_t": (TRANSPOSED, f"{GATE}.target_proj.weight"),
        "decoder/combination/b_t": (SAME, f"{GATE}.target_proj.bias"),
        # Our first array of an LSTM's state is c, theirs is h.
        "decoder/bridge/W_0": (TRANSPOSED, "encoder.bridge.1.weight", "encoder.bridge.0.weight"),
        "decoder/bridge/b_0": (SAME, "encoder.bridge.1.bias", "encoder.bridge.0.bias"),
        "decoder/bridge/W_1": (TRANSPOSED, "encoder.bridge.0.weight"),
        "decoder/bridge/b_1": (SAME, "encoder.bridge.0.bias"),
        "output/W": (TRANSPOSED, "generator.0.weight", "generator.weight"),
        "output/b": (SAME, "generator.0.bias", "generator.bias"),
    },
    fields=(
        (None, preset("opennmt_general") | {SCORE: "dot"}),
        ("decoder.attn.linear_in.weight", {SCORE: "general"}),
        ("decoder.attn.linear_context.weight", preset("opennmt_mlp")),
        ("encoder.bridge.0.weight", {BRIDGE: "relu"}),
    ),
    options={
        "global_attention_function": Option({"softmax": {}, "sparsemax": {NORMALIZER: "sparsemax"}}, None),
        "context_gate": Option(
            {kind: _gate(kind) for kind in ("both", "source", "target")}, lambda names: f"{GATE}.gate.weight" in names
        ),
    },
    unsupported={
        "linear_copy": "copy attention",
        "copy_attn": "copy attention",
        "linear_cover": "coverage attention",
        "emb_luts.1": "source features",
        "make_embedding.pe": "position encodings",
        "self_attn": "a transformer",
    },
)

JOEY = System(
    title="Joey NMT",
    specials=Specials(
        ("<pad>", "<s>", "</s>", "<unk>"), ("<unk>", "<pad>", "<s>", "</s>"), start="<s>", ends_source=True
    ),
    encoder=("encoder.rnn.{part}_l{layer}{reverse}",),
    decoder=("decoder.rnn.{part}_l{layer}",),
    arrays={
        "source_embedding": (SAME, "src_embed.lut.weight"),
        "target_embedding": (SAME, "trg_embed.lut.weight"),
        "decoder/attention/score/W": (TRANSPOSED, "decoder.attention.key_layer.weight"),
        "decoder/attention/score/W_k": (TRANSPOSED, "decoder.attention.key_layer.weight"),
        "decoder/attention/score/W_q": (TRANSPOSED, "decoder.attention.query_layer.weight"),
        "decoder/attention/score/v": (ROW, "decoder.attention.energy_layer.weight"),
        "decoder/combination/W_c": (SWAPPED, "decoder.att_vector_layer.weight"),
        "decoder/combination/b": (SAME, "decoder.att_vector_layer.bias"),
        "decoder/bridge/W": (TRANSPOSED, "decoder.bridge_layer.weight"),
        "decoder/bridge/b": (SAME, "decoder.bridge_layer.bias"),
        "output/W": (TRANSPOSED, "decoder.output_layer.weight"),
        "output/b": (SAME, ZEROS),
    },
    fields=(
        (None, preset("joeynmt_luong") | {BRIDGE: "dense(shared={shared})"}),
        ("decoder.attention.query_layer.weight", {SCORE: "concat"}),
    ),
    options={
        "init_hidden": Option(
            {"zeros": {BRIDGE: "zero"}, "last": "no bridge copies one state into all arrays of all decoder layers"},
            lambda names: "decoder.bridge_layer.weight" not in names,
        ),
    },
    unsupported={"src_src_att": "a transformer", "layer_norm": "a transformer"},
)

FAIRSEQ = System(
    title="fairseq",
    specials=Specials(
        ("<pad>", "<s>", "</s>", "<unk>"), ("<s>", "<pad>", "</s>", "<unk>"), "</s>", ends_source=True, counts=True
    ),
    encoder=("encoder.lstm.{part}_l{layer}{reverse}",),
    decoder=("decoder.layers.{layer}.{part}",),
    arrays={
        "source_embedding": (SAME, "encoder.embed_tokens.weight"),
        "target_embedding": (SAME, "decoder.embed_tokens.weight"),
        "decoder/attention/score/W": (SAME, "decoder.attention.input_proj.weight"),
        "decoder/combination/W_c": (TRANSPOSED, "decoder.attention.output_proj.weight"),
        "decoder/bridge/W_0": (TRANSPOSED, "decoder.encoder_cell_proj.weight"),
        "decoder/bridge/b_0": (SAME, "decoder.encoder_cell_proj.bias"),
        "decoder/bridge/W_1": (TRANSPOSED, "decoder.encoder_hidden_proj.weight"),
        "decoder/bridge/b_1": (SAME, "decoder.encoder_hidden_proj.bias"),
        "output/W": (TRANSPOSED, "decoder.fc_out.weight", "decoder.embed_tokens.weight"),
        "output/b": (SAME, "decoder.fc_out.bias", ZEROS),
    },
    fields=((None, preset("fairseq")), ("decoder.encoder_hidden_proj.weight", {BRIDGE: "linear"})),
    options={},
    unsupported={
        "adaptive_softmax": "an adaptive softmax",
        "additional_fc": "another layer before the output layer, as decoder_out_embed_dim differs from the hidden size",
        "self_attn": "a transformer",
    },
)

SYSTEMS = {"opennmt": OPENNMT, "joeynmt": JOEY, "fairseq": FAIRSEQ}


def find_system(name: str) -> System:
    """Returns the system of this name.

    Raises:
      UserError: the name is unknown.
    """
    if name not in SYSTEMS:
        raise UserError(f"unknown system {name!r}; {nearest(name, SYSTEMS)}")
    return SYSTEMS[name]
