"""Attention architectures on real sentences: Table 4 of Luong, Pham & Manning 2015 on another corpus.

Question: do global and local attention with the scores location, dot, general and concat have the order of the paper,
  in perplexity and in BLEU, before and after the replacement of unknown words?
Data: Hansards, English to French, a stand-in for English to German of WMT 2014: 14,610 training pairs of at most 25
  words and punctuation marks, 634 more as dev, the 447 test pairs of Och & Ney (2000). Put train.* and test.* (en.gz
  and fr.gz) and test.align.gz in a folder `hansards_enfr`, and set ATTN_RESEARCH_DATA to the folder above it.
Setting: one layer of 256 units, the 10,000 most frequent words of each language, greedy search. The paper has four
  layers of 1,000 units, 50,000 words and a beam. `PAPER` has all fields.
Cost: 20 trials of 3 minutes and 30 runs of 12 minutes on one core, 7 core-hours, estimated from 24 steps.
Result: not run yet.
Command: attn-research sweep experiments/luong2015_table4.py
"""

from attn_research.config import Config, Data, Decode, Decoder, Encoder, Model, Train, override
from attn_research.reports.claims import Claim, best, better, ordered
from attn_research.reports.papers import Paper
from attn_research.reports.tables import Table
from attn_research.sweeps.evaluations import Evaluate
from attn_research.sweeps.tuning import Tune
from attn_research.variants import canonical

SEEDS = (0, 1, 2)
UNK = "test@unk/bleu"
CONCAT = "concat(project_keys=False)"  # the authors leave the keys unprojected
VARIANTS = {
    "global (location)": ("location", None),
    "global (dot)": ("dot", None),
    "global (general)": ("general", None),
    "global (concat)": (CONCAT, None),
    "local-m (dot)": ("dot", "local_m"),
    "local-m (general)": ("general", "local_m"),
    "local-m (concat)": (CONCAT, "local_m"),
    "local-p (dot)": ("dot", "local_p"),
    "local-p (general)": ("general", "local_p"),
    "local-p (concat)": (CONCAT, "local_p"),
}
base = Config(
    data=Data(
        task='translation(path="hansards_enfr", source="en", target="fr", units="words", vocabulary=10000, longest=25, '
        'held_out=1000, align="align")',
        shapes=6,
    ),
    model=Model(
        embedding=128,
        dropout=0.2,
        encoder=Encoder(hidden=256, direction="reversed"),
        decoder=Decoder(hidden=256, bridge="copy", input_feeding="attentional"),
    ),
    train=Train(
        steps=3000,
        learning_rate=2e-3,
        schedule="cosine(warmup=0.05)",
        clip=5.0,
        log_every=250,
        evaluate_every=500,
    ),
    decode=Decode(ratio=1.5),
)
TUNE = Tune({"train.learning_rate": (1e-3, 3e-3)}, trial={"train.steps": 600})

EVALUATIONS = {"unk": Evaluate(replace_unknown=True)}


def change(name: str) -> dict[str, str | None]:
    """Returns the fields of a variant."""
    score, window = VARIANTS[name]
    return {"model.attention.score": score, "model.attention.window": window}


LABELS = {canonical(override(base, change(name))).model: name for name in VARIANTS}


def label(config: Config) -> str:
    """Returns the paper's name of the variant."""
    return LABELS[config.model]


def runs():
    """Yields every variant with every seed."""
    for seed in SEEDS:
        for name in VARIANTS:
            yield override(base, change(name) | {"seed": seed})


table = Table(
    row=label,
    columns=("test/perplexity", "test/bleu", UNK, "parameters", "flops_per_step", "seeds"),
    title="Luong et al. 2015, Table 4: attention architectures, on Hansards English to French, a stand-in, reduced",
)

TABLE4 = {  # perplexity, BLEU before and after the replacement; newstest2014, English to German
    "global (location)": ("6.4", "18.1", "19.3"),
    "global (dot)": ("6.1", "18.6", "20.5"),
    "global (general)": ("6.1", "17.3", "19.1"),
    "global (concat)": ("6.7",),
    "local-m (dot)": ("7.0",),
    "local-m (general)": ("6.2", "18.6", "20.4"),
    "local-m (concat)": ("7.1",),
    "local-p (dot)": ("6.6", "18.0", "19.6"),
    "local-p (general)": ("5.9", "19.0", "20.9"),
    "local-p (concat)": ("7.1",),
}
MARKS = {"local-m (dot)": "SEEN; printed as > 7.0"}
PUBLISHED = {
    (f"Luong et al. 2015, {name}, WMT English to German", column): (number, MARKS.get(name, "SEEN"))
    for name, numbers in TABLE4.items()
    for column, number in zip(("test/perplexity", "test/bleu", UNK), numbers, strict=False)
}

SOURCE = "Luong et al. 2015, Table 4, SEEN"
BEST = "local-p (general)"
CLAIMS = (
    Claim(
        "local-p with general has the lowest perplexity",
        best("local-p (general)", "test/perplexity"),
        SOURCE,
    ),
    Claim(
        "Of the global ones location has a higher perplexity than dot and general",
        tuple(better(f"global ({score})", "global (location)", "test/perplexity") for score in ("dot", "general")),
        SOURCE,
    ),
    Claim(
        "Of the global ones dot has the highest BLEU and general the lowest",
        ordered(("global (dot)", "global (location)", "global (general)"), "test/bleu"),
        SOURCE,
    ),
    Claim(
        "With a window general has a lower perplexity than dot",
        tuple(better(f"{window} (general)", f"{window} (dot)", "test/perplexity") for window in ("local-m", "local-p")),
        SOURCE,
    ),
    Claim(
        "local-p with general has a higher BLEU than local-p with dot",
        better("local-p (general)", "local-p (dot)", "test/bleu"),
        SOURCE,
    ),
    Claim(
        "After the replacement of unknown words local-p with general has the highest BLEU of the rows with a BLEU in "
        "the paper",
        tuple(better(BEST, name, UNK) for name in TABLE4 if len(TABLE4[name]) > 1 and name != BEST),
        SOURCE,
    ),
    Claim(
        "concat has a higher perplexity than general, global and with each window",
        tuple(
            better(f"{kind} (general)", f"{kind} (concat)", "test/perplexity")
            for kind in ("global", "local-m", "local-p")
        ),
        "Luong et al. 2015, section 5.3, SEEN",
    ),
)

PAPER = Paper(
    source="Luong, Pham & Manning 2015, Effective Approaches to Attention-based NMT, Table 4, SEEN",
    claim="Local attention with predicted positions and the general score is best, in perplexity and in BLEU. dot "
    "works well for the global attention, and general is better for the local ones. Each gains BLEU when unknown words "
    "are replaced.",
    full=override(
        base,
        change("local-p (general)")
        | {
            "data.task": 'translation(path="hub:wmt/wmt14", configuration="de-en", source="en", target="de", '
            'units="words", vocabulary=50000, longest=50)',
            "data.batch_size": 128,
            "model.embedding": 1000,
            "model.encoder.layers": 4,
            "model.encoder.hidden": 1000,
            "model.decoder.layers": 4,
            "model.decoder.hidden": 1000,
            "train.optimizer": "sgd",
            "train.learning_rate": 1.0,
            "train.steps": 420000,  # 12 epochs of 4.5 million pairs
            "train.schedule": "halving(begin=0.667, every=0.0833)",
            "decode.beam": 12,
        },
    ),
    differs=(
        "Another language pair, 14,610 pairs instead of 4.5 million, and a test of 447 pairs instead of 2,737.",
        "With D = 10 and at most 25 words, a window covers most of a sentence.",
        "Of the paper's setting, SEEN and SEEN-2, the beam is from CODE.",
        "BLEU by sacrebleu, tokenizer 13a, instead of multi-bleu.perl on Moses tokens.",
        "An unknown word is replaced by the source word with the largest weight of its step, without a dictionary.",
    ),
)
