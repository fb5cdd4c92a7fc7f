"""The schema: every config field with its type, its default and what it means. Defaults stand here and nowhere else."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from attn_research.annotations import Count, Length, Positions, Range, Seed, Share, Size
from attn_research.config.fields import Checked
from attn_research.registry import Spec

Shapes = Annotated[int, Range(minimum=1, maximum=1000)]
Depth = Annotated[int, Range(minimum=1, maximum=64)]
Rate = Annotated[float, Range(above=0)]
Coefficient = Annotated[float, Range(minimum=0, maximum=1e6)]
SignedCoefficient = Annotated[float, Range(minimum=-1e6, maximum=1e6)]
LengthRatio = Annotated[float, Range(minimum=0, maximum=100)]
ExtraLength = Annotated[int, Range(minimum=0, maximum=10_000)]
OutputLength = Annotated[int, Range(minimum=0, maximum=10_000)]
NgramSize = Annotated[int, Range(minimum=0, maximum=100)]
Retained = Annotated[int, Range(minimum=1, maximum=1000)]
BeamSize = Annotated[int, Range(minimum=1, maximum=1000)]
Metric = Literal["loss", "exact", "token", "wer", "per", "per_mean", "edits", "bleu", "bleu_lc", "chrf", "ter"]


@dataclass(frozen=True)
class Data(Checked):
    """The task and its batches."""

    task: Spec = Spec("dates(train=30000)")  # task with its options
    batch_size: Positions = 64  # sentence pairs per training step
    shapes: Shapes = 3  # largest number of padded (source, target) shapes; each is compiled once


@dataclass(frozen=True)
class Encoder(Checked):
    """Reads the source; its states are the keys and values of the attention."""

    cell: Spec = Spec("lstm")  # rnn, gru or lstm
    layers: Depth = 1  # stacked layers
    hidden: Size = 64  # state size; both directions together if there are two
    direction: Literal["forward", "reversed", "both"] = "both"  # reversed: reads the source from its end


@dataclass(frozen=True)
class Attention(Checked):
    """How the decoder attends to the encoder states."""

    score: Spec = Spec("dot")  # relevance of a key to a query
    normalizer: Spec = Spec("softmax")  # turns logits into weights
    window: Spec | None = None  # positions that a step may attend to; None: all
    query: Literal["state", "state_and_symbol"] = "state"  # decoder state, alone or with the previous target symbol
    heads: Size = 1  # each head has its own score, weights and history
    split: bool = True  # each head gets an equal part of query, keys and values; False: each gets all of them
    keys: Size | None = None  # size of a projection of the keys; None: no projection
    values: Size | None = None  # size of a projection of the values; None: no projection
    output: Size | None = None  # size of a projection of the concatenated contexts; None: no projection
    latent: Spec | None = None  # attended position as a latent variable, marginalized; None: weighted sum
    bias: Literal["none", "values", "output", "both"] = "none"  # which of these projections have a bias


@dataclass(frozen=True)
class Decoder(Checked):
    """Writes the target, one symbol per step."""

    cell: Spec = Spec("lstm")  # rnn, gru or lstm
    layers: Depth = 1  # stacked layers
    hidden: Size = 64  # state size, which is the query size
    bridge: Spec = Spec("dense")  # initial state from the encoder: zero, copy, dense, relu, linear or mean
    placement: Spec = Spec("after")  # when a step attends: before, after, between or bottom
    input_feeding: Literal["attentional", "context", "none"] = "attentional"  # vector fed to the next step
    combination: Spec = Spec("tanh")  # input of the output layer: tanh, linear, gated, maxout, readout, concat or none


@dataclass(frozen=True)
class Output(Checked):
    """Turns the decoder's vector of a step into probabilities of the next symbol."""

    normalizer: Spec = Spec("softmax")  # the probabilities and their loss: softmax, sparsemax or entmax


@dataclass(frozen=True)
class Model(Checked):
    """The encoder-decoder."""

    embedding: Size = 32  # embedding size, source and target
    dropout: Share = 0.0  # dropout rate of the inputs of every cell and of the output layer
    encoder: Encoder = field(default_factory=Encoder)
    attention: Attention = field(default_factory=Attention)
    decoder: Decoder = field(default_factory=Decoder)
    output: Output = field(default_factory=Output)


@dataclass(frozen=True)
class Auxiliary(Checked):
    """Coefficients of the auxiliary losses on the attention weights; each loss is a mean over the target symbols."""

    coverage: Coefficient = 0.0  # penalizes attending again to attended positions
    alignment: Coefficient = 0.0  # cross-entropy against gold alignments; the task must have them
    entropy: SignedCoefficient = 0.0  # positive: sharper weights; negative: flatter weights


@dataclass(frozen=True)
class Train(Checked):
    """Optimization, evaluation on dev, early stopping and checkpoint selection."""

    steps: Count = 1500  # largest number of updates
    learning_rate: Rate = 5e-3  # peak of the schedule
    schedule: Spec = Spec("cosine")  # constant, linear, cosine or halving
    optimizer: Spec = Spec("adam")  # adam, adadelta or sgd
    clip: Rate = 1.0  # largest global norm of the gradient
    label_smoothing: Share = 0.0  # share of the target probability spread evenly over all symbols
    auxiliary: Auxiliary = field(default_factory=Auxiliary)
    log_every: Count = 50  # steps between two lines of metrics
    evaluate_every: Count = 500  # steps between two evaluations on dev, each with a checkpoint
    patience: Count | None = None  # early stopping: evaluations without improvement; None: no early stopping
    select: Metric = "loss"  # dev metric that selects the best checkpoint
    keep: Retained = 1  # checkpoints of each kind, last and best, that stay on disk, for `translate --average`
    # parameters from another system in place of training: its name and the first 16 hex digits of the file's sha256,
    # as `attn-research import` writes them; None: trained here
    imported: str | None = None


@dataclass(frozen=True)
class Decode(Checked):
    """The search. An output has at most `ratio * source length + extra` symbols, with EOS."""

    ratio: LengthRatio = 2.0  # target symbols per source symbol
    extra: ExtraLength = 10  # further target symbols
    beam: BeamSize = 1  # beam size; 1: greedy search
    length_penalty: Spec = Spec("none")  # normalizes log probabilities by length: none, average or wu
    coverage_penalty: Coefficient = 0.0  # beta of GNMT's coverage penalty, for a beam with attention; 0: none
    min_length: OutputLength = 0  # symbols before EOS, at least; an output at its length limit may have fewer
    max_length: Length | None = None  # symbols of an output at most, with EOS, for every source; None: no such limit
    no_repeat_ngram_size: NgramSize = 0  # an output has no n-gram of this size twice; 0: no limit
    sampling: Spec | None = None  # draws symbols instead of searching, for beam 1: sample; None: no sampling


@dataclass(frozen=True)
class Config(Checked):
    """One run: everything that determines its numbers, apart from software, hardware and the data files."""

    data: Data = field(default_factory=Data)
    model: Model = field(default_factory=Model)
    train: Train = field(default_factory=Train)
    decode: Decode = field(default_factory=Decode)
    seed: Seed = 0  # of the initial parameters, the batch order and dropout
