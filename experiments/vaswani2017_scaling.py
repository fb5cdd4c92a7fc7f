"""Vaswani et al. 2017, section 3.2.1: dot products of large keys need scaling.

Question: does unscaled dot-product attention fall behind additive attention as keys grow, and does the factor
  1 / sqrt(size) close the gap?
Data: `recall`, generated, and CMUdict (see configs/g2p_cmudict.py for where to put it). The paper has no table; it
  explains a result of Britz et al. 2017 on translation, for which both tasks are stand-ins.
Setting: only the size of the projected keys and queries differs; it is the number of units of concat too. recall: RNNs
  of 64 units as in experiments/battery.py. CMUdict: LSTMs of 128 units, 4 epochs. Attention has one head.
Cost: 72 trials and 96 runs of 20 seconds (recall) or 2 minutes (CMUdict) on one core, 2.3 core-hours in total. A pilot
  on a busy machine took 8 to 13 ms a step on recall and 15 to 19 ms on CMUdict with keys of 1,024.
Result: not run yet.
Command: attn-research sweep experiments/vaswani2017_scaling.py
"""

from pathlib import Path

from attn_research.config import Config, load, override
from attn_research.reports.axes import Curve
from attn_research.reports.claims import Claim, better
from attn_research.reports.papers import Paper
from attn_research.reports.tables import Table
from attn_research.sweeps.tuning import Tune

TUNE = Tune({"train.learning_rate": (1e-3, 3e-3, 1e-2)}, trial={"train.steps": 1735, "train.evaluate_every": 1735})
SIZES = (16, 64, 256, 1024)
DOT, SCALED, ADDITIVE = "dot", "scaled dot", "additive"
SCORES = {
    DOT: "dot(project=True, units={})",
    SCALED: "scaled_dot(project=True, units={})",
    ADDITIVE: "concat(units={})",
}
NAMES = {"dot": DOT, "scaled_dot": SCALED, "concat": ADDITIVE}
recall = override(
    Config(),
    {
        "data.task": "recall(longest=8, longest_test=9, test=1000)",
        "data.shapes": 1,
        "model.encoder.cell": "rnn",
        "model.decoder.cell": "rnn",
        "model.decoder.input_feeding": "none",
        "train.steps": 1735,
        "train.schedule": "cosine(warmup=0.1)",
        "train.evaluate_every": 1735,
        "decode.ratio": 0.5,
        "decode.extra": 3,
    },
)
cmudict = override(
    load(Path(__file__).parents[1] / "configs" / "g2p_cmudict.py"),
    {
        "model.encoder.hidden": 128,
        "model.decoder.hidden": 128,
        "train.steps": 4 * 1735,
    },
)
SEEDS = {recall: (0, 1, 2, 3, 4), cmudict: (0, 1, 2)}


def score(config: Config) -> str:
    """Returns the paper's name of the score."""
    return NAMES[config.model.attention.score.name]


def size(config: Config) -> int:
    """Returns the size of the keys."""
    return config.model.attention.score.hyper["units"]


def label(config: Config) -> str:
    """Returns score and size."""
    return f"{score(config)}, {size(config)}"


def runs():
    """Yields every score with every size on both tasks, with every seed."""
    for base, seeds in SEEDS.items():
        for seed in seeds:
            for spec in SCORES.values():
                for units in SIZES:
                    yield override(base, {"model.attention.score": spec.format(units), "seed": seed})


table = Table(
    row=label,
    columns=("recall:test/exact", "transduction:test/wer", "transduction:test/per", "transduction:parameters"),
    title="Vaswani et al. 2017, section 3.2.1: size of the keys and scaling, on recall and CMUdict, stand-ins, reduced",
)
COLUMNS = ("recall:test/exact", "transduction:test/wer")
curves = tuple(Curve(x=size, y=column, rows=score, title=column, x_label="size of keys") for column in COLUMNS)

SOURCE = "Vaswani et al. 2017, section 3.2.1, SEEN"
CLAIMS = (
    *(
        Claim(
            f"With keys of 1,024, dot products without scaling are worse than additive attention ({column})",
            better(f"{ADDITIVE}, 1024", f"{DOT}, 1024", column),
            SOURCE,
        )
        for column in COLUMNS
    ),
    *(
        Claim(
            f"With keys of 1,024, scaled dot products are better than unscaled ones ({column})",
            better(f"{SCALED}, 1024", f"{DOT}, 1024", column),
            SOURCE,
        )
        for column in COLUMNS
    ),
    *(
        Claim(
            f"Unscaled dot products are worse with keys of 1,024 than of 16 ({column})",
            better(f"{DOT}, 16", f"{DOT}, 1024", column),
            SOURCE,
        )
        for column in COLUMNS
    ),
)

PAPER = Paper(
    source="Vaswani et al. 2017, Attention Is All You Need, section 3.2.1, SEEN",
    claim="For small keys additive and dot-product attention perform similarly. For larger ones additive attention "
    "outperforms unscaled dot products, whose softmax has small gradients. Dividing by the square root of the key size "
    "counteracts this.",
    full=None,
    differs=(
        "The paper gives no table, no data and no setting for this statement. It refers to Britz et al. 2017.",
        "The learning rate of every row is tuned, which may help unscaled dot products.",
    ),
)
