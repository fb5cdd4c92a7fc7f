"""Alignment quality: Table 6 of Luong, Pham & Manning 2015 on another corpus.

Question: how far are the weights of each attention architecture from gold word alignments, and do alignment error rate
  and BLEU order the architectures alike?
Data: the 447 test pairs of the Hansards with the gold links of Och & Ney (2000), a stand-in for the 508 German-English
  sentences of RWTH Aachen (see experiments/luong2015_table4.py for where to put it). Outputs are forced to the
  references. Every target word is linked with the source word of its largest weight.
Setting: the runs of experiments/luong2015_table4.py. The AER of a word is measured on the step that predicts it, and on
  the next step, which reads it. The paper takes the first for location and the second for the other scores.
Cost: none beyond the runs of experiments/luong2015_table4.py.
Result: not run yet.
Command: attn-research sweep experiments/luong2015_table6.py
"""

from pathlib import Path

from attn_research.config import run_file
from attn_research.reports.claims import Claim, below, better
from attn_research.reports.papers import Paper
from attn_research.reports.tables import Table

TABLE4 = run_file(Path(__file__).with_name("luong2015_table4.py"))
TUNE, label, runs = TABLE4["TUNE"], TABLE4["label"], TABLE4["runs"]
PREDICTING, READING = "test/word_aer", "test/word_aer_next"
IBM_MODEL_1 = 0.363

table = Table(
    row=label,
    columns=(PREDICTING, READING, "test/bleu", "seeds"),
    title="Luong et al. 2015, Table 6: alignment error rate, on Hansards English to French, a stand-in, reduced",
    note="IBM model 1, 8 steps of EM on train and test in lower case, has a word AER of 36.3 % on these files, and the "
    "diagonal 53.1 %. Neither number is published.",
)

PUBLISHED = {
    ("Luong et al. 2015, global (location), RWTH English to German", PREDICTING): (39, "SEEN-2"),
    ("Luong et al. 2015, local-m (general), RWTH English to German", READING): (34, "SEEN-2"),
    ("Luong et al. 2015, local-p (general), RWTH English to German", READING): (36, "SEEN-2"),
}

SOURCE = "Luong et al. 2015, Table 6, SEEN-2"
LOCAL = ("local-m (general)", "local-p (general)")
CLAIMS = (
    Claim(
        "location has a higher AER than local-m and local-p with general, on either step",
        tuple(better(name, "global (location)", column) for name in LOCAL for column in (PREDICTING, READING)),
        SOURCE,
    ),
    Claim(
        "local-m with general, the paper's best, has a lower AER than IBM model 1, 36.3 %, on the step that predicts",
        below("local-m (general)", PREDICTING, IBM_MODEL_1),
        "ours",
    ),
    Claim(
        "local-m with general has a lower AER than IBM model 1, 36.3 %, on the step that reads",
        below("local-m (general)", READING, IBM_MODEL_1),
        "ours",
    ),
    Claim(
        "AER and BLEU order differ: local-m with general has the lower AER, local-p with general the higher BLEU",
        (better(*LOCAL, READING), better(*reversed(LOCAL), "test/bleu")),
        "Luong et al. 2015, Tables 4 and 6, SEEN-2",
    ),
)

PAPER = Paper(
    source="Luong, Pham & Manning 2015, Effective Approaches to Attention-based NMT, Table 6, SEEN-2",
    claim="Local attention has a lower alignment error rate than global attention by location, and a rate comparable "
    "to that of the Berkeley aligner. AER and BLEU do not go together well.",
    full=TABLE4["PAPER"].full,
    differs=(
        "Another language pair and other gold links, 14,610 training pairs instead of 4.5 million.",
        "Of the paper's setting, SEEN and SEEN-2, the beam is from CODE.",
        "With D = 10 and at most 25 words, a window covers most of a sentence.",
    ),
)
