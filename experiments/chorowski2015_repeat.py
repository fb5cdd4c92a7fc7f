"""Chorowski et al. 2015: attention on inputs that are repeated up to ten times.

Question: does content-based attention break on inputs longer than those of training, which have the same content at
  several positions? Does location-aware attention not?
Data: stand-ins for TIMIT, whose utterances the paper repeats. `copy` of up to 12 symbols, generated, and CMUdict (see
  configs/g2p_cmudict.py for where to put it). `test_repeated` has 100 test items, each repeated 1 to 10 times.
Setting: the paper's placement of the attention before the step, with GRUs. 64 units and 1,735 steps on copy, 128 units
  and 4 epochs on CMUdict. The paper has 256 units and an encoder of three layers.
Cost: 18 trials and 18 runs of 30 seconds (copy) or 1 to 3 minutes (CMUdict) on one core, 0.7 core-hours in total. A
  pilot on a busy machine took 10 and 12 ms a step.
Result: not run yet.
Command: attn-research sweep experiments/chorowski2015_repeat.py
"""

from pathlib import Path

from attn_research.config import Config, load, override
from attn_research.reports.claims import Claim, above, below, better
from attn_research.reports.papers import Paper
from attn_research.reports.tables import Table
from attn_research.sweeps.tuning import Tune
from attn_research.variants import canonical

TUNE = Tune({"train.learning_rate": (1e-3, 3e-3, 1e-2)}, trial={"train.steps": 1735, "train.evaluate_every": 1735})
SEEDS = (0, 1, 2)
CONTENT, LOCATION, SMOOTH = "content", "location-aware", "location-aware, smooth focus"
VARIANTS = {
    CONTENT: {"model.attention.score": "concat(bias=True)"},
    LOCATION: {"model.attention.score": "location_aware(bias=True)"},
    SMOOTH: {"model.attention.score": "location_aware(bias=True)", "model.attention.normalizer": "sigmoid"},
}
MODEL = {
    "model.encoder.cell": "gru",
    "model.decoder.cell": "gru",
    "model.decoder.placement": "before",
    "model.decoder.input_feeding": "none",
    "model.decoder.combination": "maxout",
}
copy = override(
    Config(),
    MODEL
    | {
        "data.task": "repeated(task='copy(longest=12, longest_test=13, test=500)')",
        "data.shapes": 1,
        "train.steps": 1735,
        "train.schedule": "cosine(warmup=0.1)",
        "train.evaluate_every": 347,
        "decode.ratio": 1.0,
    },
)
words = override(
    load(Path(__file__).parents[1] / "configs" / "g2p_cmudict.py"),
    MODEL
    | {
        "data.task": "repeated(task='transduction(path=\"cmudict_g2p\")')",
        "model.encoder.hidden": 128,
        "model.decoder.hidden": 128,
        "train.steps": 4 * 1735,
    },
)
LABELS = {
    canonical(override(base, changes)).model: name for base in (copy, words) for name, changes in VARIANTS.items()
}


def label(config: Config) -> str:
    """Returns the paper's name of the attention."""
    return LABELS[config.model]


def runs():
    """Yields every attention on both tasks, with every seed."""
    for base in (copy, words):
        for seed in SEEDS:
            for changes in VARIANTS.values():
                yield override(base, changes | {"seed": seed})


COPY = "repeated(task='copy(longest=12, longest_test=13, test=500)'):"
WORDS = "repeated(task='transduction(path=\"cmudict_g2p\")'):"
LONG, DROP = "test_repeated[times>=5]/per", "test_repeated[times=1 minus times=10]/per"
table = Table(
    row=label,
    columns=tuple(task + column for task in (COPY, WORDS) for column in ("test/per", LONG, DROP)),
    title="Chorowski et al. 2015: inputs repeated up to ten times, copy and CMUdict, stand-ins, reduced",
)

PAPER_ROW = "Chorowski et al. 2015, TIMIT"
PUBLISHED = {
    (f"{PAPER_ROW}, content", WORDS + "test/per"): (18.7, "SEEN-2"),
    (f"{PAPER_ROW}, location-aware", WORDS + "test/per"): (18.0, "SEEN-2"),
    (f"{PAPER_ROW}, location-aware, smooth focus", WORDS + "test/per"): (17.6, "SEEN-2"),
}

SOURCE = "Chorowski et al. 2015, abstract, SEEN-2"
CLAIMS = (
    Claim(
        "On inputs repeated five times and more, location-aware attention has a lower PER than content-based attention",
        tuple(better(LOCATION, CONTENT, task + LONG) for task in (COPY, WORDS)),
        SOURCE,
    ),
    Claim(
        "The PER of content-based attention rises by more than 20 points from inputs once to ten times",
        tuple(above(CONTENT, task + DROP, 0.2) for task in (COPY, WORDS)),
        f"{SOURCE}; the margin is ours",
    ),
    Claim(
        "That of location-aware attention rises by less than 5 points",
        tuple(below(LOCATION, task + DROP, 0.05) for task in (COPY, WORDS)),
        f"{SOURCE}: from 18.0 to 20; the margin is ours",
    ),
    Claim(
        "On inputs as in training, location-aware attention has a lower PER than content-based attention",
        better(LOCATION, CONTENT, WORDS + "test/per"),
        SOURCE,
    ),
)

PAPER = Paper(
    source="Chorowski, Bahdanau, Serdyuk, Cho & Bengio 2015, Attention-Based Models for Speech Recognition, abstract, "
    "SEEN-2",
    claim="Content-based attention works on utterances as long as those of training, but not on longer, concatenated "
    "ones. Location-aware attention has a phoneme error rate of 18.0 % on single utterances and of 20 % on utterances "
    "repeated 10 times.",
    full=override(
        words,
        VARIANTS[LOCATION]
        | {  # recalled
            "model.encoder.layers": 3,
            "model.encoder.hidden": 512,
            "model.attention.score": "location_aware(bias=True, channels=10, reach=100, units=512)",
            "model.decoder.hidden": 256,
            "model.decoder.combination": "maxout(size=64)",
            "train.optimizer": "adadelta",
            "train.learning_rate": 1.0,
            "train.schedule": "constant",
            "decode.beam": 10,
        },
    ),
    differs=(
        "Symbols instead of frames of speech. A source has at most 22 symbols and not hundreds of frames, so the "
        "filter of the location-aware score reaches 5 positions to each side instead of 100.",
        "The fields of the paper's setting are recalled. The number of updates is ours.",
    ),
)
