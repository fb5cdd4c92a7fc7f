"""Imported checkpoints translate as their systems do; errors of files that cannot be imported."""

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from reference_imports import MODELS, SYMBOLS, WORDS, greedy
from reference_torch import sparsemax
from safetensors.flax import save_file

from attn_research.config import Config, flatten
from attn_research.errors import UserError
from attn_research.importing.run import convert, write
from attn_research.importing.systems import SYSTEMS
from attn_research.importing.weights import read
from attn_research.translator import load

GOLDEN = Path(__file__).parent / "imports"
LINES = ["ein rot Haus", "der", "geht und fremd y x@@ y ein der rot"]
DECODE = {"decode.ratio": 1.0, "decode.extra": 3}
CASES = [  # system, arguments of its model, options of the import
    ("opennmt", {}, {}),
    ("opennmt", {"kind": "gru", "attention": "mlp", "bridge": True}, {}),
    ("opennmt", {"bridge": True, "layers": 1}, {}),
    ("opennmt", {"attention": "dot", "feed": False, "both": False}, {}),
    ("opennmt", {"kind": "rnn", "layers": 1}, {"global_attention_function": "sparsemax"}),
    ("opennmt", {"gate": "both"}, {"context_gate": "both"}),
    ("opennmt", {"gate": "source", "feed": False}, {"context_gate": "source"}),
    ("joeynmt", {"kind": "gru", "layers": 1, "attention": "bahdanau"}, {}),
    ("joeynmt", {"bridge": False, "feed": False}, {"init_hidden": "zeros"}),
    ("fairseq", {}, {}),
    ("fairseq", {"shared": True, "layers": 1}, {}),
]


def vocabulary_text(name):
    """Returns the text of a vocabulary file as each system writes it."""
    if name == "fairseq":
        return "".join(f"{word} {9 - number}\n" for number, word in enumerate(WORDS))
    return "".join(f"{symbol}\n" for symbol in SYMBOLS[name])


def write_vocabularies(folder, name):
    """Writes both vocabularies and returns their files."""
    vocabularies = {side: folder / f"{side}.txt" for side in ("source", "target")}
    for path in vocabularies.values():
        path.write_text(vocabulary_text(name), encoding="utf-8")
    return vocabularies


def export(folder, name, model):
    """Writes a checkpoint and its vocabularies; returns the first arguments of `convert`."""
    np.savez(folder / "model.npz", **model)
    return name, folder / "model.npz", write_vocabularies(folder, name)


def compare(translation, output, weights, log_probability):
    assert translation.output == output
    np.testing.assert_allclose(translation.weights, weights, atol=1e-5, rtol=0)
    np.testing.assert_allclose(translation.log_probability, log_probability, atol=1e-4, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "arguments", "options"), CASES)
def test_an_imported_model_translates_as_its_system_in_numpy(name, arguments, options, tmp_path):
    model = MODELS[name](seed=3, **arguments)
    assert write(convert(*export(tmp_path, name, model), options, DECODE), tmp_path / "run") is None
    reference = {"gate": options["context_gate"]} if "context_gate" in options else {}
    reference |= {"normalize": sparsemax} if "global_attention_function" in options else {}
    for line, translation in zip(LINES, load(tmp_path / "run").translate(LINES), strict=True):
        compare(translation, *greedy(name, model, line.split(), len(translation.source) + 3, **reference))


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_an_imported_model_translates_as_the_system_itself_did(path, tmp_path):
    """The systems' own code made these outputs, with padding in the batch, from checkpoints with random numbers."""
    golden = json.loads(path.read_text())
    name, checkpoint = golden["system"], path.with_suffix(".npz")
    imported = convert(name, checkpoint, write_vocabularies(tmp_path, name), golden["options"], DECODE)
    write(imported, tmp_path / "run")
    translations = load(tmp_path / "run").translate([item["source"] for item in golden["items"]])
    for item, translation in zip(golden["items"], translations, strict=True):
        compare(translation, item["output"], item["weights"], item["log_probability"])


def test_the_config_is_read_from_names_and_shapes(tmp_path):
    name, arguments = "fairseq", {"both": True, "encoder": 4, "layers": 3}
    imported = convert(*export(tmp_path, name, MODELS[name](**arguments)))
    fields = flatten(imported.config)
    expected = {
        "model.embedding": 6, "model.encoder.layers": 3, "model.encoder.hidden": 8, "model.encoder.direction": "both",
        "model.decoder.hidden": 6, "model.decoder.layers": 3, "model.decoder.bridge": "linear",
        "model.attention.score": "general", "data.task": "tokenized(end=True)",
        "train.imported": f"fairseq:{imported.origin['sha256'][:16]}",
    }  # fmt: skip
    assert {field: fields[field] for field in expected} == expected
    assert flatten(Config())["train.imported"] is None


def test_formats_give_the_same_arrays_and_half_precision_becomes_float32(tmp_path):
    arrays = {"a": np.float32([[1, 2.5]]), "b": np.float32([-3])}
    np.savez(tmp_path / "model.npz", **arrays)
    save_file({key: jnp.asarray(array, jnp.bfloat16) for key, array in arrays.items()}, tmp_path / "model.safetensors")
    for suffix in (".npz", ".safetensors"):
        arrays = read(tmp_path / f"model{suffix}").arrays
        assert {key: array.astype(np.float32).tolist() for key, array in arrays.items()} == {"a": [[1, 2.5]], "b": [-3]}


def edit(model, changes):
    """Returns a model with other arrays under some names; None removes one."""
    return {key: array for key, array in (model | changes).items() if array is not None}


ERRORS = [  # system, changes of the model, options, words of the error
    ("opennmt", {"decoder.attn.linear_out.weight": None}, {}, ["no parameter 'decoder.attn.linear_out.weight'"]),
    ("opennmt", {"decoder.attn.linear_inn.weight": np.ones((6, 6))}, {}, ["linear_inn.weight'", "no place"]),
    ("opennmt", {"decoder.attn.linear_out.bias": np.ones(6)}, {}, ["linear_out.bias", "score general"]),
    ("opennmt", {"decoder.attn.linear_out.weight": np.ones((6, 11))}, {}, ["shape [6, 11]", "need [6, 12]"]),
    ("opennmt", {"decoder.attn.linear_cover.weight": np.ones((6, 1))}, {}, ["coverage attention"]),
    ("opennmt", {"encoder.rnn.weight_hh_l0": np.ones((6, 3))}, {}, ["weight_hh_l0", "no LSTM, GRU"]),
    ("opennmt", {"encoder.rnn.bias_hh_l1": np.ones(3)}, {}, ["bias_hh_l1", "shape [3]", "need [12]"]),
    ("opennmt", {"generator.0.bias": np.full(12, np.nan)}, {}, ["generator.0.bias", "not finite"]),
    ("opennmt", {"generator.0.bias": np.ones(12, int)}, {}, ["generator.0.bias", "int64", "float"]),
    ("opennmt", {"generator.0.weight": np.ones((11, 6))}, {}, ["target.txt has 12 symbols", "11 rows"]),
    ("opennmt", {}, {"contextgate": "both"}, ["no option 'contextgate'", "did you mean context_gate?"]),
    ("opennmt", {}, {"context_gate": "both"}, ["context_gate has no effect"]),
    ("opennmt", {}, {"global_attention_function": "softmaxx"}, ["'softmaxx'", "did you mean softmax?"]),
    ("joeynmt", {"decoder.bridge_layer.weight": None}, {}, ["init_hidden", "add --option init_hidden=zeros"]),
    ("joeynmt", {"decoder.bridge_layer.weight": None}, {"init_hidden": "last"}, ["init_hidden=last cannot"]),
    ("joeynmt", {}, {"init_hidden": "zeros"}, ["no effect"]),
    ("joeynmt", {"trg_embed.lut.weight": np.ones((12, 9))}, {}, ["size 4 and target embeddings of size 9"]),
    ("fairseq", {"decoder.additional_fc.weight": np.ones((6, 6))}, {}, ["decoder_out_embed_dim", "cannot be imported"]),
    ("fairseq", {"decoder.embed_tokens.weight": np.ones(12)}, {}, ["embed_tokens", "shape [12]", "matrix"]),
    ("fairseq", {"decoder.layers.0.weight_hh": None}, {}, ["no parameter 'decoder.layers.0.weight_hh'"]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "changes", "options", "words"), ERRORS)
def test_a_checkpoint_that_cannot_be_imported_is_one_sentence(name, changes, options, words, tmp_path):
    arguments = export(tmp_path, name, edit(MODELS[name](), changes))
    with pytest.raises(UserError) as caught:
        convert(*arguments, options)
    assert all(word in str(caught.value) for word in words), caught.value
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "other"), [("opennmt", "fairseq"), ("fairseq", "joeynmt"), ("joeynmt", "opennmt")])
def test_a_checkpoint_of_another_system_is_named(name, other, tmp_path):
    _, checkpoint, vocabularies = export(tmp_path, name, MODELS[other]())
    with pytest.raises(UserError, match=f"is a checkpoint of {other}"):
        convert(name, checkpoint, vocabularies)


def test_an_unknown_system_is_reported_with_the_nearest(tmp_path):
    with pytest.raises(UserError, match=r"unknown system 'joey'; known: .*did you mean joeynmt\?"):
        convert("joey", tmp_path / "model.npz", {})


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("model.pt", b"", "model.pt is not a .npz or .safetensors file"),
        ("model.npz", b"PK\x03\x04 broken", "model.npz cannot be read"),
        ("model.safetensors", b"12345678broken", "model.safetensors cannot be read"),
        ("modle.npz", None, "no file .*modle.npz"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence(file, content, words, tmp_path):
    vocabularies = write_vocabularies(tmp_path, "opennmt")
    if content is not None:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(UserError, match=words):
        convert("opennmt", tmp_path / file, vocabularies)


class Exploit:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickle_in_an_archive_is_never_read(tmp_path):
    vocabularies, proof = write_vocabularies(tmp_path, "opennmt"), tmp_path / "proof"
    np.savez(tmp_path / "model.npz", array=np.array([Exploit(proof)], dtype=object))
    with pytest.raises(UserError, match=r"model\.npz cannot be read"):
        convert("opennmt", tmp_path / "model.npz", vocabularies)
    assert not proof.exists()


def test_the_page_names_every_system_and_option():
    page = (Path(__file__).parents[1] / "docs" / "import.md").read_text(encoding="utf-8")
    for name, system in SYSTEMS.items():
        assert f"attn-research import {name} " in page and f"## {system.title}" in page
        assert all(option in page for option in system.options)
