"""The battery: which attention variant solves which probe task, and up to which difficulty.

Question: does the equation of a variant predict what it can do? Each task requires one ability: finding a position by
  its content (`recall`), a lookup after a lookup (`two_hop`), the next of equal marks (`select`), a fixed distance from
  a cue (`window`), an absolute position (`nth`).
Data: five generated tasks, each at four difficulties, the easiest first; no download. `select` is reported on sources
  with more marks than any in training, except at its easiest level.
Setting: a vanilla RNN of 64 units as encoder (both directions together) and as decoder, no input feeding, 1,000 steps
  of 64 items. One change at a time from `general` with softmax. With a GRU or LSTM encoder, no rate that was
  tried learns `recall` of up to 4 pairs with 2 queries (docs/lab-notes.md).
Cost: 900 trials and 1,500 runs of about 4 seconds on one core, 3 core-hours. The trials and runs are committed.
Result (2026-11-29): `location` alone solves `nth` of 40 positions and fails `recall` and `two_hop`; monotonic
  variants alone follow more marks than in training and fail `window`; docs/battery.md has the rest.
Command: attn-research sweep experiments/battery.py && attn-research table experiments/battery.py
"""

from attn_research.config import Config, override
from attn_research.reports.axes import Curve
from attn_research.reports.claims import Claim, best, better
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


RECALL, TWO_HOP, SELECT, WINDOW, NTH = COLUMNS = (
    "recall(longest=16):test/exact",
    "two_hop(longest=17):test/exact",
    "select(longest=24):test_long/token",
    "window(distance=8):test/exact",
    "nth(longest=40):test/exact",
)
READ_KEYS = ("dot", "scaled_dot", "general", "concat")
ADVANCE = ("location_aware", "monotonic", "mocha")  # read the weights of the previous step
BEFORE, AFTER = "attn_research/data/probes.py, written before the runs", "docs/battery.md, written after the runs"
CLAIMS = (
    Claim(
        "recall: scores that read the keys beat location",
        tuple(better(row, "location", RECALL) for row in READ_KEYS),
        BEFORE,
    ),
    Claim(
        "select, with more marks than in training: variants that read their last weights beat content scores",
        tuple(better(row, other, SELECT) for row in ADVANCE for other in READ_KEYS),
        BEFORE,
    ),
    Claim("nth: location beats every other variant", best("location", NTH), BEFORE),
    Claim(
        "two_hop: scores that read the keys beat location",
        tuple(better(row, "location", TWO_HOP) for row in READ_KEYS),
        AFTER,
    ),
    Claim(
        "window and two_hop: general beats monotonic, which cannot go back",
        tuple(better("general", "monotonic", column) for column in (WINDOW, TWO_HOP)),
        AFTER,
    ),
    Claim(
        "Every task but nth: general beats local_m, whose window follows the output step",
        tuple(better("general", "local_m", column) for column in COLUMNS if column != NTH),
        AFTER,
    ),
    Claim("recall: general beats scaled_dot", better("general", "scaled_dot", RECALL), AFTER),
    Claim("recall: general beats sparsemax", better("general", "sparsemax", RECALL), AFTER),
    Claim("two_hop: general beats 4 heads", better("general", "4 heads", TWO_HOP), AFTER),
)

table = Table(row=label, columns=COLUMNS, title="Probe tasks at a high difficulty")
curves = tuple(
    Curve(x=level, y=f"{task}:{metric}", title=task, x_label="difficulty")
    for task, metric in zip(
        TASKS, ("test/exact", "test/exact", "test_long/token", "test/exact", "test/exact"), strict=True
    )
)
