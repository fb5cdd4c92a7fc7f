"""Score functions on real sentences: German to English on Multi30k.

Question: which of general and concat has the higher BLEU?
Data: Multi30k task 1, test_2016_flickr (see configs/multi30k_deen.py for where to put it). BLEU and chrF are by
  sacrebleu on untokenized lines. The tutorial's BLEU is on its own lower-cased tokens and not the same measure. The
  table puts it beside ours in lower case.
Setting: configs/multi30k_deen.py.
Cost: 6 runs of about an hour on one core. An interrupted sweep continues.
Expected: 38 BLEU with general, 40 with concat.
Command: attn-research sweep experiments/multi30k_scores.py
"""

from pathlib import Path

from attn_research.config import load, override
from attn_research.reports.tables import Table

SCORES = ("general", "concat")
SEEDS = (0, 1, 2)
base = load(Path(__file__).parents[1] / "configs" / "multi30k_deen.py")

table = Table(
    row="model.attention.score",
    columns=("test/bleu", "test/bleu_lc", "test/chrf", "parameters", "flops_per_step", "seeds"),
    title="Score functions on Multi30k German to English",
)

PUBLISHED = {
    ("bentrevett tutorial, GRU + additive, lower-cased words, greedy", "test/bleu_lc"): ("28.30", "SEEN"),
}


def runs():
    """Yields both scores with every seed."""
    for seed in SEEDS:
        for score in SCORES:
            yield override(base, {"model.attention.score": score, "seed": seed})
