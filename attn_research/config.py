"""A config is a value: frozen, printable, diffable, hashable; its hash names the run.

Defaults stand here and nowhere else, and `override` is the only way to say a change.
"""

import ast
import dataclasses
import functools
import hashlib
import json
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from attn_research.annotations import Count, Positions, Range, Seed, Share, Size, conform
from attn_research.errors import UserError, nearest
from attn_research.presets import preset
from attn_research.registry import LOWERCASE, Spec

Shapes = Annotated[int, Range(minimum=1, maximum=1000)]
Depth = Annotated[int, Range(minimum=1, maximum=64)]
Coefficient = Annotated[float, Range(minimum=0, maximum=1e6)]


class Checked:
    """A part of a config whose values fit their annotations, however it was made."""

    def __post_init__(self):
        for name, hint in _own_hints(type(self)).items():
            if not dataclasses.is_dataclass(hint):
                where = f"config field {name!r}" + ("" if type(self) is Config else f" of {type(self).__name__}")
                object.__setattr__(self, name, conform(getattr(self, name), hint, where))


@functools.cache
def _own_hints(part: type) -> dict[str, Any]:
    return typing.get_type_hints(part, include_extras=True)


@dataclass(frozen=True)
class Data(Checked):
    """What is learned, and how sentence pairs are put into batches."""

    task: Spec = Spec("dates(train=30000)")  # the task with its own options
    batch_size: Positions = 64  # sentence pairs a training step
    shapes: Annotated[int, Range(minimum=1, maximum=1000)] = (
        3  # padded (source, target) lengths at most; each is compiled once
    )


@dataclass(frozen=True)
class Encoder(Checked):
    """Reads the source; its states are the keys and values."""

    cell: Spec = Spec("lstm")  # rnn, gru or lstm
    layers: Depth = 1
    hidden: Size = 64  # size of a state, both directions together
    direction: Literal["forward", "reversed", "both"] = "both"  # reversed: the source is read from its end


@dataclass(frozen=True)
class Attention(Checked):
    """How the decoder looks back at the encoder states."""

    score: Spec = Spec("dot")  # relatedness of a query and a key
    normalizer: Spec = Spec("softmax")  # from logits to weights
    window: Spec | None = None  # where a step may look; None: everywhere
    query: Literal["state", "state_and_symbol"] = "state"  # what asks; the symbol is the last one written
    heads: Size = 1  # each with a score, weights and history of its own
    split: bool = True  # a head has its share of query, keys and values; else all of them
    keys: Size | None = None  # size of a projection of their own; None: the encoder states themselves
    values: Size | None = None  # the same for the values
    output: Size | None = None  # size of a projection of the heads' joined contexts; None: none
    latent: Spec | None = None  # the position as a variable that is summed out; None: contexts are weighted sums
    bias: Literal["none", "values", "output", "both"] = "none"  # which of these two projections add one


@dataclass(frozen=True)
class Decoder(Checked):
    """Writes the target, a symbol a step."""

    cell: Spec = Spec("lstm")  # rnn, gru or lstm
    layers: Depth = 1
    hidden: Size = 64  # size of a state, the query
    bridge: Spec = Spec("dense")  # first state from what the encoder made: zero, copy, dense, relu or mean
    placement: Spec = Spec("after")  # where in a step it attends: before, after, between or bottom
    input_feeding: Literal["attentional", "context", "none"] = "attentional"  # what of the last step enters the next
    # what the output layer reads: tanh, linear, gated, maxout, readout, concat or none
    combination: Spec = Spec("tanh")


@dataclass(frozen=True)
class Model(Checked):
    """The encoder-decoder."""

    embedding: Size = 32  # size of a symbol's vector, source and target
    dropout: Share = 0.0  # share of zeroed inputs of every cell and of the output layer, in training
    encoder: Encoder = field(default_factory=Encoder)
    attention: Attention = field(default_factory=Attention)
    decoder: Decoder = field(default_factory=Decoder)


@dataclass(frozen=True)
class Auxiliary(Checked):
    """Coefficients of what is added to the loss from the attention weights, each a mean over the target symbols."""

    coverage: Coefficient = 0.0  # looking again where the steps before looked
    alignment: Coefficient = 0.0  # cross-entropy against the gold links, for tasks that have them
    entropy: Annotated[float, Range(minimum=-1e6, maximum=1e6)] = (
        0.0  # above 0 sharpens the weights, below 0 spreads them
    )


@dataclass(frozen=True)
class Train(Checked):
    """The optimization, and when to look, stop and choose."""

    steps: Count = 1500  # updates at most
    learning_rate: Annotated[float, Range(above=0)] = 5e-3  # peak of the schedule
    schedule: Spec = Spec("cosine")  # constant, linear, cosine or halving
    optimizer: Spec = Spec("adam")  # adam, adadelta or sgd
    clip: Annotated[float, Range(above=0)] = 1.0  # largest global norm of the gradient
    label_smoothing: Share = 0.0  # share of the target's probability spread over all symbols
    auxiliary: Auxiliary = field(default_factory=Auxiliary)
    log_every: Count = 50  # steps between two lines of metrics
    evaluate_every: Count = 500  # steps between two looks at dev, each with a checkpoint
    patience: Count | None = None  # looks without a gain before stopping; None: never
    # dev metric that picks the best checkpoint
    select: Literal["loss", "exact", "token", "wer", "per", "bleu", "bleu_lc", "chrf"] = "loss"


@dataclass(frozen=True)
class Decode(Checked):
    """How outputs are searched; a sentence ends by itself or at `ratio * its source length + extra` symbols."""

    ratio: Annotated[float, Range(minimum=0, maximum=100)] = 2.0
    extra: Annotated[int, Range(minimum=0, maximum=10_000)] = 10
    beam: Annotated[int, Range(minimum=1, maximum=1000)] = 1  # hypotheses that go on side by side; 1: greedy search
    length_penalty: Spec = Spec("none")  # from log probability to the score that ranks them: none, average or wu


@dataclass(frozen=True)
class Config(Checked):
    """One point of an experiment: everything that decides a run's numbers."""

    data: Data = field(default_factory=Data)
    model: Model = field(default_factory=Model)
    train: Train = field(default_factory=Train)
    decode: Decode = field(default_factory=Decode)
    seed: Seed = 0


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """`{"data.batch_size": 64, ...}`: every leaf by its dotted name, JSON values only."""
    leaves = {}
    for item in dataclasses.fields(config):
        value = getattr(config, item.name)
        name = prefix + item.name
        leaves |= flatten(value, name + ".") if dataclasses.is_dataclass(value) else {name: value}
    return leaves


def field_types(config: Any, prefix: str = "") -> dict[str, Any]:
    """The annotation of every leaf, by the names of `flatten`."""
    leaves = {}
    for name, hint in _own_hints(type(config)).items():
        leaves |= (
            field_types(getattr(config, name), f"{prefix}{name}.")
            if dataclasses.is_dataclass(hint)
            else {prefix + name: hint}
        )
    return leaves


def override(config: Config, changes: Mapping[str, Any]) -> Config:
    """A copy of `config` with the dotted names in `changes` set.

    Raises:
      UserError: an unknown name (the nearest one is told), a value of another type or out of its range.
    """
    known = field_types(config)
    for name, value in changes.items():
        if name not in known:
            raise UserError(f"config has no field {name!r}; {nearest(name, known)}")
        value = conform(value, known[name], f"config field {name!r}")
        config = _replace(config, name.split("."), value)
    return config


def _replace(config: Any, path: list[str], value: Any) -> Any:
    head, *rest = path
    return dataclasses.replace(config, **{head: _replace(getattr(config, head), rest, value) if rest else value})


def with_spec(config: Config, name: str, spec: Spec) -> Config:
    """A copy of `config` with the variant in a dotted field set as it is."""
    return _replace(config, name.split("."), spec)


def unflatten(leaves: Mapping[str, Any]) -> Config:
    """The config that `flatten` wrote; a field that is newer than the file has its default."""
    return override(Config(), leaves)


def parse_changes(arguments: Iterable[str]) -> dict[str, Any]:
    """`["preset:fairseq", "seed=2", "model.attention.score=concat(units=64)"]` as a dict for `override`.

    Of two words that set the same field the later one counts.

    Raises:
      UserError: a word without `=` that is no known `preset:NAME`, or a value that is no literal where a number is
        wanted.
    """
    known = field_types(Config())
    changes = {}
    for argument in arguments:
        if argument.startswith("preset:"):
            changes |= preset(argument.removeprefix("preset:"))
            continue
        name, equals, text = argument.partition("=")
        if not equals:
            raise UserError(f"{argument!r} is not of the form name=value, as in seed=2; {nearest(argument, known)}")
        changes[name] = _value(text, known.get(name))
    return changes


def _value(text: str, hint: Any) -> Any:
    if hint is Spec or typing.get_origin(hint) is Literal:
        return text
    if hint is bool and text in LOWERCASE:
        return LOWERCASE[text]
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return text


def diff(a: Config, b: Config) -> dict[str, tuple[Any, Any]]:
    """The leaves in which two configs differ: `{name: (in a, in b)}`."""
    left, right = flatten(a), flatten(b)
    return {name: (left[name], right[name]) for name in left if left[name] != right[name]}


# Fields that are younger than the first runs: at their default they are no part of a run's name, so that a run from
# before the field keeps its own.
LATER = {"model.attention.bias": Attention.bias}


def digest(config: Config) -> str:
    """First 10 hex characters of the sha256 of the sorted flat JSON: the run's name."""
    leaves = {name: value for name, value in flatten(config).items() if name not in LATER or value != LATER[name]}
    return hashlib.sha256(json.dumps(leaves, sort_keys=True).encode()).hexdigest()[:10]


def program_config(config: Config) -> Config:
    """The config without what a compiled program takes as a value; runs whose programs are equal share them."""
    return dataclasses.replace(config, seed=0, train=dataclasses.replace(config.train, learning_rate=1.0))


def load(path: str | Path) -> Config:
    """The `config` that a file in configs/ defines.

    Raises:
      UserError: no such file, or no Config named `config` in it.
    """
    namespace = run_file(path)
    if not isinstance(namespace.get("config"), Config):
        raise UserError(f"{path} defines no Config named 'config'")
    return unflatten(flatten(namespace["config"]))


def run_file(path: str | Path) -> dict[str, Any]:
    """The names that a config or experiment file defines; it is run by path, never imported as a package."""
    import runpy

    path = Path(path)
    if not path.is_file():
        siblings = [p.name for p in path.parent.glob("*.py")] if path.parent.is_dir() else []
        raise UserError(f"no file {path}; {nearest(path.name, siblings)}")
    return runpy.run_path(str(path))
