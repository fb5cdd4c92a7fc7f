"""Score functions on dates: does attention matter, and does the score function?

Question: how many dates does the same encoder-decoder get right with each of five scores and without attention (with
  the encoder's last state as input of every step)? Do the weights find the source of each digit?
Data: 30,000 generated dates in the languages and styles of Unicode CLDR. `test` has dates that training does not
  contain, `test_unseen` languages that it does not contain.
Setting: configs/dates.py.
Cost: 72 trials and 60 runs of about 14 seconds on one core. The trials are committed: with --seeds 3 only 18 runs are
  trained, in about 3 minutes on 2 cores.
Expected: 97 to 100 % exact match on test with every score, 62 % without attention.
Command: attn-research sweep experiments/score_functions.py && attn-research table experiments/score_functions.py
"""

from pathlib import Path

from attn_research.config import load, override
from attn_research.reports.claims import Claim, above, better
from attn_research.reports.tables import Table
from attn_research.sweeps.tuning import Tune

TUNE = Tune({"train.learning_rate": (3e-3, 5e-3, 1e-2, 1.5e-2, 2e-2, 3e-2)}, seeds=(100, 101))
WITHOUT, LOCATION = 'none(feed="input")', "location"
READ_KEYS = ("dot", "scaled_dot", "general", "concat")
SOURCE = "README.md, written after the runs"
SCORES = (WITHOUT, *READ_KEYS, LOCATION)


def runs():
    """Yields six variants with ten seeds each."""
    base = load(Path(__file__).parent.parent / "configs" / "dates.py")
    for score in SCORES:
        for seed in range(10):
            yield override(base, {"model.attention.score": score, "seed": seed})


table = Table(
    row="model.attention.score",
    columns=("test/exact", "test_unseen/exact", "test/aer", "parameters", "flops_per_step"),
    title="Score functions on dates",
)

CLAIMS = (
    Claim(
        "Every score gets more dates right than no attention",
        tuple(better(score, WITHOUT, "test/exact") for score in SCORES if score != WITHOUT),
        SOURCE,
    ),
    Claim(
        "Every score gets more than 97 % of the dates right",
        tuple(above(score, "test/exact", 0.97) for score in SCORES if score != WITHOUT),
        SOURCE,
    ),
    Claim(
        "Every score that reads the keys gets more dates of 25 characters and more right than location",
        tuple(better(score, LOCATION, "test[length>=25]/exact") for score in READ_KEYS),
        SOURCE,
    ),
    Claim(
        "location, which does not read the keys, has a higher AER than every score that does",
        tuple(better(score, LOCATION, "test/aer") for score in READ_KEYS),
        SOURCE,
    ),
)
