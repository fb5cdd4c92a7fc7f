"""Every attention variant: the effect of one change at a time in one base config.

Question: on dates in languages that training does not contain, and on reversing sequences longer than any in training:
  how often is the output correct, how close are the weights to the gold alignment, and how widely do they spread?
Data: `dates` and `reverse`, generated; no download.
Setting: `general` with softmax over the whole source, attention after the cell, attentional vector fed back, 128 units,
  500 steps.
Cost: 366 runs of 15 to 45 seconds on one core, about 80 minutes on 2 cores. An interrupted sweep continues. The table
  takes milliseconds only from runs on an otherwise idle machine: make the last 61 runs with `--jobs 1`.
Expected: 93 % exact match on dates with the base. On `reverse:test_long`, 100 % with `location_aware`.
Command: attn-research sweep experiments/attention_zoo.py
"""

from pathlib import Path

from attn_research.config import Config, diff, load, override
from attn_research.reports.tables import Table

SEEDS = (0, 1, 2)
SCORES = (
    'none(feed="input")', "dot", "dot(project=True)", "scaled_dot", "scaled_dot(learned_scale=True)",
    "general(rank=16)",
    "biaffine", "cosine", "rbf", "relative", "location", "concat", "concat(project_keys=False)",
    'concat(layer_norm="sum")', "concat(bias=True, normed=True)",
    "coverage", "coverage(fertility=2.0)", "coverage_nn", "coverage_gru",
    "location_aware", 'location_aware(reads="coverage")', "location_2d", "location_recurrent",
)  # fmt: skip
NORMALIZERS = (
    "softmax(learned=True)", "sigmoid", "sink", "top_k", "sparsemax", "entmax", "entmax(learned=True)", "hard",
    "gumbel",
    "forward", "forward(agent=True)", "monotonic(noise=1.0, offset=-1.0)", "mocha(noise=1.0, offset=-1.0)",
    "milk(noise=1.0, offset=-1.0)",
)  # fmt: skip
WINDOWS = ("local_m", "local_p", "local_p(renormalise=True)", "around_last")
OTHERS = (
    {"model.attention.heads": 4},
    {"model.attention.heads": 4, "model.attention.split": False, "model.attention.output": 128},
    {"model.attention.query": "state_and_symbol"},
    {"model.decoder.placement": "before"},
    {"model.decoder.placement": "between"},
    {"model.decoder.placement": "bottom", "model.decoder.layers": 2},
    {"model.decoder.input_feeding": "context"},
    {"model.decoder.input_feeding": "none"},
    {"model.decoder.combination": "linear"},
    {"model.decoder.combination": "gated"},
    {"model.decoder.combination": "maxout"},
    {"model.decoder.bridge": "mean"},
    {"model.decoder.bridge": "zero"},
    {"model.attention.latent": "hard", "model.decoder.input_feeding": "context"},
    {"model.attention.latent": "monotone", "model.decoder.input_feeding": "none"},
    {"model.attention.latent": "hmm", "model.decoder.input_feeding": "none"},
    {"train.auxiliary.coverage": 0.1},
    {"train.auxiliary.alignment": 0.1},
    {"train.auxiliary.entropy": 0.1},
)
VARIANTS = (
    {},
    *({"model.attention.score": score} for score in SCORES),
    *({"model.attention.normalizer": normalizer} for normalizer in NORMALIZERS),
    *({"model.attention.window": window} for window in WINDOWS),
    *OTHERS,
)
TASKS = ("dates(train=30000)", "reverse(train=30000)")
base = override(
    load(Path(__file__).parents[1] / "configs" / "dates.py"),
    {
        "model.attention.score": "general",
        "model.encoder.hidden": 128,
        "model.decoder.hidden": 128,
        "model.decoder.input_feeding": "attentional",
        "train.learning_rate": 5e-3,
        "train.steps": 500,
        "train.evaluate_every": 250,
        "decode.ratio": 1.0,
    },
)


def label(config: Config) -> str:
    """Returns the fields that differ from the base."""
    changes = {name: new for name, (_, new) in diff(base, config).items() if name not in ("data.task", "seed")}
    return ", ".join(f"{_short(name)}={value}" for name, value in changes.items()) or "general"


def _short(name: str) -> str:
    """Returns a field name without its common prefixes."""
    return name.removeprefix("model.attention.").removeprefix("model.decoder.").removeprefix("train.")


def runs():
    """Yields every variant on both tasks, with every seed."""
    for task in TASKS:
        for seed in SEEDS:
            for changes in VARIANTS:
                yield override(base, changes | {"data.task": task, "seed": seed})


table = Table(
    row=label,
    columns=(
        "dates:test/exact", "dates:test_unseen/exact", "dates:test/aer", "dates:test/entropy",
        "reverse:test/exact", "reverse:test_long/exact", "reverse:test_long/aer",
        "dates:parameters", "dates:flops_per_step", "reverse:ms",
    ),
    title="One change at a time from one base",
)  # fmt: skip
