"""The battery: which attention variant solves which probe task, and up to which difficulty.

Question: does the equation of a variant predict what it can do? Each task requires one ability: finding a position by
  its content (`recall`), a lookup after a lookup (`two_hop`), the next of equal marks (`select`), a fixed distance from
  a cue (`window`), an absolute position (`nth`).
Data: five generated tasks, each at four difficulties, the easiest first; no download. `select` is reported on sources
  with more marks than any in training, except at its easiest level.
Setting: a vanilla RNN of 64 units as encoder (both directions together) and as decoder, no input feeding, 1,000 steps
  of 64 items. One change at a time from `general` with softmax. With a GRU or LSTM encoder, no rate that was
  tried learns `recall` of up to 4 pairs with 2 queries (docs/lab-notes.md).
Cost: with three learning rates on one seed before the five seeds, 2,400 runs: an estimated 3 core-hours, of which a
  third is compilation.
Expected at the hardest level, from trials with one seed: `general` has 100 % on `recall`, `two_hop` and `window` and
  60 % on `nth`; `location` has 14 % on `recall` and 100 % on `nth`; `monotonic` has 14 % on `select`; no
  attention has at most 6 % on `two_hop`, `window` and `nth`. At the easiest, `general` has 94 % on `select`.
Command: attn-research sweep experiments/battery.py && attn-research table experiments/battery.py
"""

from attn_research.config import Config, override
from attn_research.reports.axes import Curve
from attn_research.reports.tables import Table
from attn_research.sweeps.tuning import Tune
from attn_research.variants import canonical

TUNE = Tune({"train.learning_rate": (2e-3, 5e-3, 1.2e-2)})
SEEDS = (0, 1, 2, 3, 4)
VARIANTS = (
    ("none", {"model.attention.score": 'none(feed="input")'}),
    ("dot", {"model.attention.score": "dot"}),
    ("scaled_dot", {"model.attention.score": "scaled_dot"}),
    ("general", {}),
    ("concat", {"model.attention.score": "concat"}),
    ("location", {"model.attention.score": "location"}),
    ("location_aware", {"model.attention.score": "location_aware"}),
    ("local_m", {"model.attention.window": "local_m"}),
    ("local_p", {"model.attention.window": "local_p"}),
    ("monotonic", {"model.attention.normalizer": "monotonic(noise=1.0, offset=-1.0)"}),
    ("mocha", {"model.attention.normalizer": "mocha(noise=1.0, offset=-1.0)"}),
    ("sparsemax", {"model.attention.normalizer": "sparsemax"}),
    ("hard", {"model.attention.normalizer": "hard"}),
    ("latent hard", {"model.attention.latent": "hard"}),
    ("4 heads", {"model.attention.heads": 4}),
)
TASKS = {
    "recall": tuple(f"recall(longest={size}, longest_test={size + 1}, test=500)" for size in (2, 4, 8, 16)),
    "two_hop": tuple(f"two_hop(longest={size}, longest_test={size + 1}, test=500)" for size in (3, 5, 9, 17)),
    "select": tuple(f"select(longest={size}, longest_test=31, test=500)" for size in (30, 28, 24, 16)),
    "window": tuple(f"window(distance={distance}, longest=32, longest_test=33, test=500)" for distance in (1, 2, 4, 8)),
    "nth": tuple(f"nth(longest={size}, longest_test={size + 1}, test=500)" for size in (5, 10, 20, 40)),
}
base = override(
    Config(),
    {
        "data.shapes": 1,
        "model.encoder.cell": "rnn",
        "model.decoder.cell": "rnn",
        "model.decoder.input_feeding": "none",
        "model.attention.score": "general",
        "train.steps": 1000,
        "train.learning_rate": 5e-3,
        "train.schedule": "cosine(warmup=0.1)",
        "train.evaluate_every": 500,
        "decode.ratio": 0.5,
        "decode.extra": 3,
    },
)
LABELS = {canonical(override(base, changes)).model: name for name, changes in VARIANTS}
LEVELS = {
    canonical(override(base, {"data.task": task})).data.task: level
    for tasks in TASKS.values()
    for level, task in enumerate(tasks, 1)
}


def label(config: Config) -> str:
    """Returns the name of the variant."""
    return LABELS[config.model]


def runs():
    """Yields every variant on every task at every difficulty, with every seed."""
    for difficulties in TASKS.values():
        for task in difficulties:
            for _, changes in VARIANTS:
                for seed in SEEDS:
                    yield override(base, changes | {"data.task": task, "seed": seed})


def level(config: Config) -> int:
    """Returns the difficulty of the task, 1 to 4."""
    return LEVELS[config.data.task]


table = Table(
    row=label,
    columns=(
        "recall(longest=16):test/exact",
        "two_hop(longest=17):test/exact",
        "select(longest=24):test_long/token",
        "window(distance=8):test/exact",
        "nth(longest=40):test/exact",
    ),
    title="Probe tasks at a high difficulty",
)
curves = tuple(
    Curve(x=level, y=f"{task}:{metric}", title=task, x_label="difficulty")
    for task, metric in zip(
        TASKS, ("test/exact", "test/exact", "test_long/token", "test/exact", "test/exact"), strict=True
    )
)
