"""Score functions on real words: grapheme-to-phoneme conversion on CMUdict.

Question: which score function has the lowest word error rate?
Data: CMUdict without stress, the published test list, scored as in the papers (see configs/g2p_cmudict.py for where to
  put it).
Setting: one layer of 256 units, 12 epochs. The paper has three layers of 512 and up to 100 epochs.
Cost: 18 runs of about 15 minutes on one core. An interrupted sweep continues.
Expected: 27 % word error rate with dot, general, concat and location, 30 % with scaled_dot, 29 % without attention.
Command: attn-research sweep experiments/g2p_scores.py
"""

from pathlib import Path

from attn_research.config import load, override
from attn_research.reports.tables import Table

SCORES = ('none(feed="input")', "dot", "scaled_dot", "general", "concat", "location")
SEEDS = (0, 1, 2)
base = load(Path(__file__).parents[1] / "configs" / "g2p_cmudict.py")

table = Table(
    row="model.attention.score",
    columns=("test/wer", "test/per", "parameters", "flops_per_step", "seeds"),
    title="Score functions on CMUdict grapheme-to-phoneme conversion, a reduced setting",
)

PUBLISHED = {
    ("Toshniwal & Livescu 2016, global attention, 3 layers of 512", "test/wer"): (21.69, "SEEN-2"),
    ("Toshniwal & Livescu 2016, global attention, 3 layers of 512", "test/per"): (5.04, "SEEN-2"),
}


def runs():
    """Yields every score with every seed."""
    for seed in SEEDS:
        for score in SCORES:
            yield override(base, {"model.attention.score": score, "seed": seed})
