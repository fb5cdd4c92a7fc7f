"""Techniques added one on top of another: Table 1 of Luong, Pham & Manning 2015 on another corpus.

Question: does each of reversing the source, dropout, global attention by location, input feeding and local attention
  lower the perplexity and raise BLEU? Does the replacement of unknown words raise BLEU?
Data: Hansards, English to French, a stand-in for English to German of WMT 2014 (see experiments/luong2015_table4.py for
  sizes and where to put it).
Setting: that of experiments/luong2015_table4.py, which also has the last two rows.
Cost: 8 trials of 3 minutes and 12 runs of 10 minutes on one core, 2.4 core-hours, beyond the runs of
  experiments/luong2015_table4.py. Estimated from 24 steps.
Result: not run yet.
Command: attn-research sweep experiments/luong2015_table1.py
"""

import itertools
from pathlib import Path

from attn_research.config import Config, override, run_file
from attn_research.reports.claims import Claim, better
from attn_research.reports.papers import Paper
from attn_research.reports.tables import Table
from attn_research.sweeps.evaluations import Evaluate
from attn_research.variants import canonical

TABLE4 = run_file(Path(__file__).with_name("luong2015_table4.py"))
SEEDS, TUNE = TABLE4["SEEDS"], TABLE4["TUNE"]
# Each row has the changes of all rows above it.
STEPS = {
    "base": {
        "model.attention.score": "none",
        "model.encoder.direction": "forward",
        "model.dropout": 0.0,
        "model.decoder.input_feeding": "none",
    },
    "+ reverse": {"model.encoder.direction": "reversed"},
    "+ dropout": {"model.dropout": 0.2},
    "+ global (location)": {"model.attention.score": "location"},
    "+ feed": {"model.decoder.input_feeding": "attentional"},
    "local-p (general) + feed": TABLE4["change"]("local-p (general)"),
}
ROWS = {}
point = TABLE4["base"]
for name, changes in STEPS.items():
    point = ROWS[name] = canonical(override(point, changes))
LAST = "local-p (general) + feed"
REPLACED = f"{LAST}, unk"  # the row of the evaluation
EVALUATIONS = {"unk": Evaluate(replace_unknown=True, row=True, of=(LAST,))}
LABELS = {config.model: name for name, config in ROWS.items()}


def label(config: Config) -> str:
    """Returns what the row adds."""
    return LABELS[config.model]


def runs():
    """Yields every row with every seed."""
    for seed in SEEDS:
        for config in ROWS.values():
            yield override(config, {"seed": seed})


table = Table(
    row=label,
    columns=("test/perplexity", "test/bleu", "parameters", "seeds"),
    title="Luong et al. 2015, Table 1: techniques added one on top of another, on Hansards English to French, a "
    "stand-in, reduced",
)

TABLE1 = {  # perplexity, BLEU; newstest2014, English to German
    "base": ("10.6", "11.3"),
    "+ reverse": ("9.9", "12.6"),
    "+ dropout": ("8.1", "14.0"),
    "+ global (location)": ("7.3", "16.8"),
    "+ feed": ("6.4", "18.1"),
    "local-p (general) + feed": ("5.9", "19.0"),
}
PUBLISHED = {
    (f"Luong et al. 2015, {name}, WMT English to German", column): (number, "SEEN")
    for name, numbers in TABLE1.items()
    for column, number in zip(("test/perplexity", "test/bleu"), numbers, strict=True)
} | {(f"Luong et al. 2015, {REPLACED}, WMT English to German", "test/bleu"): ("20.9", "SEEN")}

NAMES = tuple(TABLE1)
SOURCE = "Luong et al. 2015, Table 1, SEEN"
CLAIMS = (
    *(
        Claim(
            f"`{name}` has a lower perplexity and a higher BLEU than `{before}`",
            (better(name, before, "test/perplexity"), better(name, before, "test/bleu")),
            SOURCE,
        )
        for before, name in itertools.pairwise(NAMES)
    ),
    Claim("The replacement of unknown words raises BLEU", better(REPLACED, LAST, "test/bleu"), SOURCE),
)

PAPER = Paper(
    source="Luong, Pham & Manning 2015, Effective Approaches to Attention-based NMT, Table 1, SEEN",
    claim="Each of reversing the source, dropout, global attention, input feeding, local attention and the replacement "
    "of unknown words adds 0.9 to 2.8 BLEU to what stands above it.",
    full=TABLE4["PAPER"].full,
    differs=(
        "Another language pair, 14,610 pairs instead of 4.5 million, and a test of 447 pairs instead of 2,737.",
        "Of the paper's setting, SEEN and SEEN-2, the beam is from CODE.",
        "BLEU by sacrebleu, tokenizer 13a, instead of multi-bleu.perl on Moses tokens.",
    ),
)
