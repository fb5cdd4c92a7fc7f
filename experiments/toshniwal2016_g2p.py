"""Toshniwal & Livescu 2016: global and local attention for grapheme-to-phoneme conversion.

Question: does local attention have the same word error rate as global attention, and how much worse is no attention?
  How close does a larger model come to the paper?
Data: CMUdict without stress, the paper's test list (see configs/g2p_cmudict.py for where to put it). The paper's
  development words are not published; ours are other words of the same list.
Setting: the paper's additive score of 64 units on the decoder's current state, its output layer and its context that
  is fed back. One layer of 128 units and 12 epochs, and for the larger row two layers of 256 units and 30 epochs. The
  paper has three layers of 512 units and up to 100 epochs. The paper's window is not known to us: D = 4 here.
Cost: 15 trials of 2 (the larger row: 11) minutes and 15 runs of 5 (the larger row: 55) minutes on one core, 4.7
  core-hours in total. A pilot on a busy machine took 10 ms a step of 64 words, and 120 ms of 128 words with the larger
  row.
Result: not run yet.
Command: attn-research sweep experiments/toshniwal2016_g2p.py && attn-research table experiments/toshniwal2016_g2p.py
"""

from pathlib import Path

from attn_research.config import Config, load, override
from attn_research.reports.claims import Claim, below, better, ordered
from attn_research.reports.papers import Paper
from attn_research.reports.tables import Table
from attn_research.sweeps.tuning import Tune
from attn_research.variants import canonical

SEEDS = (0, 1, 2)
GLOBAL, LOCAL_M, LOCAL_P, WITHOUT = "global", "local-m", "local-p", "no attention"
LARGE = "global, 2 layers of 256, 30 epochs"
ROWS = {
    GLOBAL: {},
    LOCAL_M: {"model.attention.window": "local_m(D=4)"},
    LOCAL_P: {"model.attention.window": "local_p(D=4)"},
    WITHOUT: {
        "model.attention.score": "none",
        "model.decoder.input_feeding": "none",
        "model.decoder.combination": "none",
    },
    LARGE: {
        "data.batch_size": 128,
        "model.embedding": 128,
        "model.dropout": 0.3,
        "model.encoder.layers": 2,
        "model.encoder.hidden": 256,
        "model.decoder.layers": 2,
        "model.decoder.hidden": 256,
        "train.steps": 30 * 868,
        "train.evaluate_every": 868,
    },
}
TUNE = Tune(
    {"train.learning_rate": (1e-3, 2e-3, 4e-3)},
    metric="dev/wer",
    trial={"train.steps": 5205, "train.evaluate_every": 1735},
)
base = override(
    load(Path(__file__).parents[1] / "configs" / "g2p_cmudict.py"),
    {
        "model.encoder.hidden": 128,
        "model.attention.score": "concat(units=64)",
        "model.decoder.hidden": 128,
        "model.decoder.bridge": "copy",
        "model.decoder.input_feeding": "context",
        "model.decoder.combination": "concat",
    },
)
LABELS = {canonical(override(base, changes)).model: name for name, changes in ROWS.items()}


def label(config: Config) -> str:
    """Returns the name of the row."""
    return LABELS[config.model]


def runs():
    """Yields every row with every seed."""
    for seed in SEEDS:
        for changes in ROWS.values():
            yield override(base, changes | {"seed": seed})


table = Table(
    row=label,
    columns=("test/wer", "test/per", "train.learning_rate", "parameters", "flops_per_step", "seeds"),
    title="Toshniwal & Livescu 2016: global and local attention on CMUdict, a reduced setting",
)

FULL_SIZE = "Toshniwal & Livescu 2016, 3 layers of 512"
PUBLISHED = {
    (f"{FULL_SIZE}, global", "test/wer"): (21.69, "SEEN-2"),
    (f"{FULL_SIZE}, global", "test/per"): (5.04, "SEEN-2"),
    (f"{FULL_SIZE}, local-m", "test/wer"): (21.85, "recalled"),
    (f"{FULL_SIZE}, local-m", "test/per"): (5.11, "recalled"),
    (f"{FULL_SIZE}, local-p", "test/wer"): (22.83, "recalled"),
    (f"{FULL_SIZE}, local-p", "test/per"): (5.39, "recalled"),
    (f"{FULL_SIZE}, ensemble of 5, global", "test/wer"): (20.24, "SEEN-2"),
    (f"{FULL_SIZE}, ensemble of 5, global", "test/per"): (4.69, "SEEN-2"),
    ("Yao & Zweig 2015, no attention", "test/wer"): (28.61, "recalled"),
    ("Yao & Zweig 2015, no attention", "test/per"): (7.63, "recalled"),
}

CLAIMS = (
    Claim(
        "Every attention has a lower WER than no attention",
        tuple(better(row, WITHOUT, "test/wer") for row in (GLOBAL, LOCAL_M, LOCAL_P)),
        "Toshniwal & Livescu 2016, SEEN-2, against Yao & Zweig 2015, recalled",
    ),
    Claim(
        "WER rises from global over local-m to local-p",
        ordered((GLOBAL, LOCAL_M, LOCAL_P), "test/wer"),
        "Toshniwal & Livescu 2016, CMUdict, local rows recalled",
    ),
    Claim(
        "Two layers of 256 units have less than 24 % WER",
        below(LARGE, "test/wer", 0.24),
        "before the runs",
    ),
)

PAPER = Paper(
    source="Toshniwal & Livescu 2016, Jointly Learning to Align and Convert Graphemes to Phonemes with Neural "
    "Attention Models, results on CMUdict, SEEN-2, local rows recalled",
    claim="Global attention has the lowest error rates, local-m is close to it, local-p is behind. All are far below "
    "an encoder-decoder without attention. An ensemble of five is better still.",
    full=override(
        base,
        {
            "data.batch_size": 256,
            "model.embedding": 512,
            "model.encoder.layers": 3,
            "model.encoder.hidden": 512,
            "model.decoder.layers": 3,
            "model.decoder.hidden": 512,
            "train.learning_rate": 1e-3,
            "train.schedule": "constant",
            "train.clip": 5.0,
            "train.steps": 100 * 434,  # up to 100 epochs
        },
    ),
    differs=(
        "The paper multiplies the rate by 0.8 when the training loss stalls. A cosine schedule stands for that here.",
        "The development words are others of the same training list.",
        "The paper's decoder starts from the last states of the forward encoder only.",
    ),
)
