"""Converts a checkpoint: the names and shapes of its parameters give the config, its arrays our parameters."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from attn_research.config import Config, override
from attn_research.errors import UserError, did_you_mean, nearest
from attn_research.importing.symbols import Symbols
from attn_research.importing.systems import SYSTEMS, ZEROS, System
from attn_research.importing.weights import Weights
from attn_research.models.seq2seq import Seq2Seq, init_parameters
from attn_research.variants import canonical

CELLS = {1: "rnn", 3: "gru", 4: "lstm"}  # by the number of gates
STATES = {"rnn": 1, "gru": 1, "lstm": 2}  # arrays
REVERSE = {"forward": "", "reversed": "_reverse"}
LAYER = re.compile(r"(encoder|decoder)/layer_(\d+)(?:_(forward|reversed))?")


class Stack(NamedTuple):
    """The recurrent layers of a side, as the shapes of its first one show them."""

    pattern: str  # of the parameters' names
    cell: str
    layers: int
    hidden: int  # of one direction
    inputs: int  # of the first layer
    directions: int


def read_config(system: System, weights: Weights, options: Mapping[str, str], base: Config) -> Config:
    """Returns `base` with the model that a checkpoint has.

    Args:
      options: values of `system.options`.

    Raises:
      UserError: a parameter is missing, or shows what no field of the config describes; or an option is wrong.
    """
    _reject_unsupported(system, weights)
    encoder, decoder = (_read_stack(weights, patterns) for patterns in (system.encoder, system.decoder))
    embedding = _embedding_size(system, weights)
    fed = decoder.inputs != embedding
    fields = {
        name: value for key, part in system.fields if key is None or key in weights for name, value in part.items()
    }
    fields |= _read_options(system, weights, options)
    shared = decoder.layers * STATES[decoder.cell] > 1
    fields = {
        name: value.format(fed=fed, shared=shared) if isinstance(value, str) else value
        for name, value in fields.items()
    }
    fields |= {
        "model.embedding": embedding,
        "model.encoder.cell": encoder.cell,
        "model.encoder.layers": encoder.layers,
        "model.encoder.hidden": encoder.hidden * encoder.directions,
        "model.encoder.direction": "both" if encoder.directions == 2 else "forward",
        "model.decoder.cell": decoder.cell,
        "model.decoder.layers": decoder.layers,
        "model.decoder.hidden": decoder.hidden,
        "model.decoder.input_feeding": "attentional" if fed else "none",
    }
    return canonical(override(base, fields))


def read_parameters(system: System, weights: Weights, config: Config, source: Symbols, target: Symbols) -> Any:
    """Returns the parameters of the model of `config`, whose vocabularies are those of `source` and `target`.

    Raises:
      UserError: a parameter is missing, has another shape, or has no place in this model.
    """
    model = Seq2Seq(config.model, len(source.vocabulary), len(target.vocabulary))
    template = jax.eval_shape(lambda: init_parameters(model, 0))
    leaves = jax.tree.leaves_with_path(template)
    shapes = {_name(path): leaf.shape for path, leaf in leaves}
    tables = {"source_embedding": source, "target_embedding": target, "output/W": target, "output/b": target}
    arrays: dict[str, np.ndarray] = {}
    for name, shape in shapes.items():
        if name in arrays:
            continue
        if layer := LAYER.match(name):
            arrays |= _read_cell(system, weights, config, layer, shapes)
        else:
            arrays[name] = _read_array(system, weights, name, shape, tables.get(name))
    _reject_unread(system, weights, config)
    return jax.tree.unflatten(jax.tree.structure(template), [arrays[_name(path)] for path, _ in leaves])


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/").removeprefix("params/")


def _reject_unsupported(system: System, weights: Weights) -> None:
    for part, meaning in system.unsupported.items():
        for name in weights.arrays:
            if part in name:
                raise UserError(
                    f"{weights.path} has {meaning} (parameter {name!r}), which no config field describes, so it cannot "
                    "be imported"
                )
    _, name = system.arrays["source_embedding"]
    others = (one for one, other in SYSTEMS.items() if other.arrays["source_embedding"][1] in weights)
    if name not in weights and (other := next(others, None)):
        raise UserError(f"{weights.path} has no parameter {name!r}, but is a checkpoint of {other}: import {other}")


def _embedding_size(system: System, weights: Weights) -> int:
    names = [system.arrays[f"{side}_embedding"][1] for side in ("source", "target")]
    sizes = [weights.matrix_shape(name)[1] for name in names]
    if sizes[0] != sizes[1]:
        raise UserError(
            f"{weights.path} has source embeddings of size {sizes[0]} and target embeddings of size {sizes[1]}, but "
            "model.embedding is one size for both, so it cannot be imported"
        )
    return sizes[0]


def _read_stack(weights: Weights, patterns: tuple[str, ...]) -> Stack:
    """Returns the recurrent layers that a pattern matches."""

    def name(pattern: str, part: str, layer: int = 0, reverse: str = "") -> str:
        return pattern.format(part=part, layer=layer, reverse=reverse)

    pattern = next((one for one in patterns if name(one, "weight_hh") in weights), patterns[0])
    gates, hidden = weights.matrix_shape(name(pattern, "weight_hh"))
    if gates % hidden or gates // hidden not in CELLS:
        raise UserError(
            f"{weights.path} has {name(pattern, 'weight_hh')} with the shape {[gates, hidden]}, which no LSTM, GRU or "
            "simple RNN has"
        )
    layers = next(layer for layer in range(len(weights.arrays) + 1) if name(pattern, "weight_hh", layer) not in weights)
    inputs = weights.matrix_shape(name(pattern, "weight_ih"))[1]
    both = "{reverse}" in pattern and name(pattern, "weight_hh", 0, "_reverse") in weights
    return Stack(pattern, CELLS[gates // hidden], layers, hidden, inputs, 2 if both else 1)


def _read_options(system: System, weights: Weights, options: Mapping[str, str]) -> dict[str, Any]:
    """Returns the config fields of the options."""
    for name in options:
        if name not in system.options:
            raise UserError(f"{system.title} has no option {name!r} for an import; {nearest(name, system.options)}")
    fields: dict[str, Any] = {}
    for name, option in system.options.items():
        value, needed = options.get(name), option.needed and option.needed(weights.arrays)
        if value is None and needed:
            values = " or ".join(f"{name}={one}" for one in option.values)
            raise UserError(f"{weights.path} does not show {name} of {system.title}; add --option {values}")
        if value is None:
            continue
        if value not in option.values:
            raise UserError(f"option {name} is {value!r}; {nearest(value, option.values)}")
        if needed is False:
            raise UserError(f"option {name} has no effect: the parameters of {weights.path} show it")
        meaning = option.values[value]
        if isinstance(meaning, str):
            raise UserError(f"a checkpoint with {name}={value} cannot be imported: {meaning}")
        fields |= meaning
    return fields


def _read_array(
    system: System, weights: Weights, name: str, shape: tuple[int, ...], symbols: Symbols | None
) -> np.ndarray:
    """Returns one of our arrays, with their rows in our order if it has a row or column for each of the symbols."""
    if name not in system.arrays:
        raise UserError(f"{system.title} has no parameter for {name}, so {weights.path} cannot be imported")
    layout, *names = system.arrays[name]
    their_name = next((one for one in names if one in weights or one == ZEROS), names[0])
    if their_name == ZEROS:
        return np.zeros(shape, np.float32)
    theirs = layout.shape(shape)
    if symbols is None:
        return layout.convert(weights.read(their_name, theirs))
    rows = weights.arrays[their_name].shape[:1] if their_name in weights else ()
    if rows and rows[0] != symbols.size:
        raise UserError(
            f"{symbols.path} has {symbols.size} symbols, but {their_name} of {weights.path} has {rows[0]} rows"
        )
    table = weights.read(their_name, (symbols.size, *theirs[1:]))
    return layout.convert(symbols.select(table, starts=name == "target_embedding"))


def _read_cell(
    system: System, weights: Weights, config: Config, layer: re.Match, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, np.ndarray]:
    """Returns all arrays of one of our recurrent layers."""
    side, number, direction = layer.groups()
    cell = config.model.encoder.cell if side == "encoder" else config.model.decoder.cell
    pattern = _read_stack(weights, system.encoder if side == "encoder" else system.decoder).pattern
    gates = next(count for count, kind in CELLS.items() if kind == cell)
    hidden = config.model.decoder.hidden
    if direction:
        hidden = config.model.encoder.hidden // (2 if config.model.encoder.direction == "both" else 1)
    rows, inputs = gates * hidden, shapes[f"{layer.group()}/W"][0] - hidden
    sizes = {"weight_ih": (rows, inputs), "weight_hh": (rows, hidden), "bias_ih": (rows,), "bias_hh": (rows,)}
    arrays = [
        weights.read(pattern.format(part=part, layer=number, reverse=REVERSE.get(direction, "")), shape)
        for part, shape in sizes.items()
    ]
    return {f"{layer.group()}/{name}": array for name, array in convert_cell(cell, *arrays).items()}


def convert_cell(
    cell: str, weight_ih: np.ndarray, weight_hh: np.ndarray, bias_ih: np.ndarray, bias_hh: np.ndarray
) -> dict[str, np.ndarray]:
    """Returns the arrays of a cell of models/cells.py that computes what a layer of torch does.

    Args:
      weight_ih: [g h, i], g gates.
      weight_hh: [g h, h].
      bias_ih: [g h].
      bias_hh: [g h].
    """
    hidden, W = weight_hh.shape[1], np.concatenate([weight_ih, weight_hh], 1).T
    if cell == "gru":
        n = slice(2 * hidden, None)  # of the gate with two biases of its own
        rest = {"W_n": weight_ih[n].T, "b_n": bias_ih[n], "U_n": weight_hh[n].T, "c_n": bias_hh[n]}
        return {"W": W[:, : 2 * hidden], "b": (bias_ih + bias_hh)[: 2 * hidden]} | rest
    b = bias_ih + bias_hh
    if cell == "lstm":
        b[hidden : 2 * hidden] -= 1  # our forget gate adds it
    return {"W": W, "b": b}


def _reject_unread(system: System, weights: Weights, config: Config) -> None:
    if weights.unread:
        name, *others = sorted(weights.unread)
        more = f" and {len(others)} more" if others else ""
        model = f"score {config.model.attention.score}, combination {config.model.decoder.combination}"
        raise UserError(
            f"{weights.path} has the parameter {name!r}{more}, which has no place in the model that the others show "
            f"({model}){did_you_mean(name, system.parameters)}"
        )
