"""Which score function? Does attention matter at all?

Question: the same encoder-decoder with no attention (the encoder's last state is fed at every step) and with each of
  five scores: how many dates does it write right, and do the weights look where the digits come from?
Data: `dates`: 30,000 generated dates in the languages and styles of Unicode CLDR; test has dates never seen in
  training, test_unseen has languages never seen either.
Cost: 18 runs, about 4 minutes on 2 cores.
Command: attn-research sweep experiments/score_functions.py && attn-research table experiments/score_functions.py
"""

from pathlib import Path

from attn_research.config import load, override
from attn_research.reports.tables import Table

SCORES = ('none(feed="input")', "dot", "scaled_dot", "general", "concat", "location")


def runs():
    """Six variants, three seeds each."""
    base = load(Path(__file__).parent.parent / "configs" / "dates.py")
    for score in SCORES:
        for seed in range(3):
            yield override(base, {"model.attention.score": score, "seed": seed})


table = Table(
    row="model.attention.score",
    columns=("test/exact", "test_unseen/exact", "test/aer", "parameters", "flops_per_step"),
    title="Score functions on dates",
)
