"""Wu & Cotterell 2019: soft, exact hard and monotonic attention for morphological inflection.

Question: is exact hard attention at least as accurate as soft attention, and does monotonicity help?
Data: CoNLL-SIGMORPHON 2017, task 1, Arabic, Finnish, German, Spanish and Turkish with medium training sets of 1,000
  pairs. The paper has 51 languages with 10,000 pairs. Put LANGUAGE.train-medium.tsv, LANGUAGE.dev.tsv and
  LANGUAGE.test.tsv (or .tsv.gz) in a folder `conll2017_inflection`, and set ATTN_RESEARCH_DATA to the folder above it.
Setting: one layer of 128 units, 40 epochs. The paper's large setting has two layers of 800 units (both directions) in
  the encoder and 400 in the decoder. Its decoder, dropout and search are ours too.
Cost: 60 trials and 60 runs of 20 seconds to 2 minutes on one core, 2.3 core-hours in total. A pilot on a busy machine
  took 7 (soft) to 35 ms (hard) a step.
Result: not run yet.
Command: attn-research sweep experiments/wucotterell2019.py
"""

from attn_research.config import Config, Data, Decode, Decoder, Encoder, Model, Train, override
from attn_research.reports.claims import Claim, better
from attn_research.reports.papers import Paper
from attn_research.reports.tables import Table
from attn_research.sweeps.tuning import Tune
from attn_research.variants import canonical

SEEDS = (0, 1, 2)
LANGUAGES = ("arabic", "finnish", "german", "spanish", "turkish")
SOFT, HARD, MONOTONE, FIRST_ORDER = "soft", "hard (0-HARD)", "monotone (0-MONO)", "first-order monotone (1-MONO)"
VARIANTS = {
    SOFT: {},
    HARD: {"model.attention.latent": "hard"},
    MONOTONE: {"model.attention.latent": "monotone"},
    # Transitions replace the score, which therefore has its default.
    FIRST_ORDER: {"model.attention.latent": 'hmm(monotone=True, start="first")', "model.attention.score": "dot"},
}
base = Config(
    data=Data(task='inflection(path="conll2017_inflection")', batch_size=20, shapes=3),
    model=Model(
        embedding=100,
        dropout=0.3,
        encoder=Encoder(hidden=128),
        decoder=Decoder(hidden=128, bridge="zero", input_feeding="none", combination="tanh(bias=True)"),
    ),
    train=Train(
        steps=2000,
        learning_rate=2e-3,
        schedule="cosine(warmup=0.02)",
        clip=5.0,
        log_every=250,
        evaluate_every=250,
        select="exact",
    ),
    decode=Decode(ratio=2.0, extra=10),
)
base = override(base, {"model.attention.score": "general"})
TUNE = Tune({"train.learning_rate": (1e-3, 2e-3, 4e-3)}, metric="dev/exact", trial={"train.steps": 1000})
LABELS = {canonical(override(base, changes)).model: name for name, changes in VARIANTS.items()}


def task(language: str) -> str:
    """Returns the task of a language."""
    return f'inflection(path="conll2017_inflection", prefix="{language}.", train="train-medium")'


def label(config: Config) -> str:
    """Returns the paper's name of the attention."""
    return LABELS[config.model]


def runs():
    """Yields every attention on every language, with every seed."""
    for seed in SEEDS:
        for language in LANGUAGES:
            for changes in VARIANTS.values():
                yield override(base, changes | {"data.task": task(language), "seed": seed})


MEAN, EDITS = "macro:test/exact", "macro:test/edits"
table = Table(
    row=label,
    columns=(
        MEAN,
        EDITS,
        *(f'inflection(prefix="{language}."):test/exact' for language in LANGUAGES),
        "seeds",
    ),
    title="Wu & Cotterell 2019: hard and monotonic attention, inflection in 5 languages, medium training sets, reduced",
)

NUMBERS = {"SOFT": (92.9, 0.157), "0-HARD": (93.8, 0.126), "0-MONO": (94.4, 0.113), "1-MONO": (94.4, 0.116)}
PUBLISHED = {
    (f"Wu & Cotterell 2019, {name}, 51 languages, high", column): (number, "recalled")
    for name, numbers in NUMBERS.items()
    for column, number in zip((MEAN, EDITS), numbers, strict=True)
}

SOURCE = "Wu & Cotterell 2019, inflection, recalled"
CLAIMS = (
    Claim("Hard attention is more accurate than soft attention", better(HARD, SOFT, MEAN), SOURCE),
    Claim(
        "Monotonic hard attention is more accurate than hard attention without the constraint",
        tuple(better(row, HARD, MEAN) for row in (MONOTONE, FIRST_ORDER)),
        SOURCE,
    ),
    Claim(
        "Monotonic hard attention is more accurate than soft attention",
        tuple(better(row, SOFT, MEAN) for row in (MONOTONE, FIRST_ORDER)),
        SOURCE,
    ),
)

PAPER = Paper(
    source="Wu & Cotterell 2019, Exact Hard Monotonic Attention for Character-Level Transduction, test results on "
    "inflection, recalled; settings from the authors' code, CODE",
    claim="Hard attention without a constraint is better than soft attention on inflection. A monotonicity constraint "
    "makes it better still, of 0th order as well as of 1st.",
    full=override(
        base,
        VARIANTS[MONOTONE]
        | {
            "data.task": 'inflection(path="conll2017_inflection", prefix="arabic.", train="train-high")',
            "model.embedding": 200,
            "model.dropout": 0.4,
            "model.attention.latent": "monotone(leak=1e-7)",
            "model.attention.normalizer": "leaky_softmax",
            "model.encoder.layers": 2,
            "model.encoder.hidden": 800,
            "model.decoder.hidden": 400,
            "train.learning_rate": 1e-3,
            "train.schedule": "constant",
            "train.steps": 50 * 500,  # up to 50 epochs
        },
    ),
    differs=(
        "Five languages instead of 51, each with 1,000 pairs instead of 10,000.",
        "The paper halves the rate when dev stalls, and stops below 1e-5. A cosine schedule stands for that here.",
    ),
)
