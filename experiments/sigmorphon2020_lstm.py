"""SIGMORPHON 2020, task 1: the LSTM baseline for grapheme-to-phoneme conversion, in six of its 15 languages.

Question: does a smaller model that is tuned over a small grid reach the word error rates of the shared task's baseline?
Data: the exact splits of the task, 3,600 / 450 / 450 words a language. Put LANGUAGE_train.tsv, LANGUAGE_dev.tsv and
  LANGUAGE_test.tsv (or .tsv.gz) with bul, fre, gre, hun, kor and vie in a folder `sigmorphon2020_g2p`, and set
  ATTN_RESEARCH_DATA to the folder above it.
Setting: the baseline's attention (general, input feeding), label smoothing, clipping and beam. 256 units instead of 512
  or 1,024 (in each direction of the encoder), 4 settings instead of 36 for each language, 3 seeds instead of one.
Cost: 24 trials and 18 runs of 5 minutes on one core, 3.5 core-hours in total. A pilot on a busy machine took 45 ms a
  step.
Result: not run yet.
Command: attn-research sweep experiments/sigmorphon2020_lstm.py
"""

from attn_research.config import Config, Data, Decode, Decoder, Encoder, Model, Train, override
from attn_research.reports.claims import Claim, below
from attn_research.reports.papers import Paper
from attn_research.reports.tables import Table
from attn_research.sweeps.tuning import Tune

SEEDS = (0, 1, 2)
ROW = "LSTM of 256 units"
BASELINE = {  # WER, PER in percent
    "bul": (31.11, 5.94),
    "fre": (6.22, 1.32),
    "gre": (18.89, 3.30),
    "hun": (5.33, 1.18),
    "kor": (46.89, 16.78),
    "vie": (4.67, 1.52),
}
TUNE = Tune({"train.learning_rate": (1e-3, 3e-3), "model.dropout": (0.2, 0.4)}, metric="dev/wer")
base = Config(
    data=Data(task='transduction(path="sigmorphon2020_g2p")', batch_size=64, shapes=3),
    model=Model(
        embedding=128,
        dropout=0.3,
        encoder=Encoder(hidden=256),
        decoder=Decoder(hidden=256, bridge="copy", input_feeding="attentional"),
    ),
    train=Train(
        steps=6000,
        learning_rate=1e-3,
        schedule="cosine(warmup=0.05)",
        clip=1.0,
        label_smoothing=0.1,
        log_every=300,
        evaluate_every=600,
        select="wer",
    ),
    decode=Decode(ratio=2.0, extra=10, beam=5),
)
base = override(base, {"model.attention.score": "general"})


def task(language: str) -> str:
    """Returns the task of a language."""
    return f'transduction(path="sigmorphon2020_g2p", prefix="{language}_")'


def column(language: str, metric: str) -> str:
    """Returns the column of a language."""
    return f'transduction(prefix="{language}_"):test/{metric}'


def label(config: Config) -> str:
    """Returns the name of the only row."""
    return ROW


def runs():
    """Yields every language with every seed."""
    for seed in SEEDS:
        for language in BASELINE:
            yield override(base, {"data.task": task(language), "seed": seed})


METRICS = ("wer", "per")
table = Table(
    row=label,
    columns=(
        *(f"macro:test/{metric}" for metric in METRICS),
        *(column(language, metric) for language in BASELINE for metric in METRICS),
        "seeds",
    ),
    title="SIGMORPHON 2020, task 1: the LSTM baseline in six languages, exact splits, a reduced setting",
)

MEANS = [sum(numbers) / len(BASELINE) for numbers in zip(*BASELINE.values(), strict=True)]
PAPER_ROW = "Gorman et al. 2020, LSTM"
PUBLISHED = {
    (PAPER_ROW, column(language, metric)): (f"{number:.2f}", "recalled")
    for language, numbers in BASELINE.items()
    for metric, number in zip(METRICS, numbers, strict=True)
} | {
    (PAPER_ROW, f"macro:test/{metric}"): (f"{mean:.2f}", "recalled, mean of the six")
    for metric, mean in zip(METRICS, MEANS, strict=True)
}

SOURCE = "Gorman et al. 2020, recalled; the margin is ours"
CLAIMS = (
    Claim(
        "The mean WER is below that of the baseline plus 2 points",
        below(ROW, "macro:test/wer", MEANS[0] / 100 + 0.02),
        SOURCE,
    ),
    *(
        Claim(
            f"The WER in {language} is below that of the baseline plus 2 points",
            below(ROW, column(language, "wer"), wer / 100 + 0.02),
            SOURCE,
        )
        for language, (wer, _) in BASELINE.items()
    ),
)

PAPER = Paper(
    source="Gorman et al. 2020, The SIGMORPHON 2020 Shared Task on Multilingual Grapheme-to-Phoneme Conversion, LSTM "
    "baseline, recalled; settings from the released code, CODE",
    claim="The LSTM baseline has a mean word error rate of 16.84 and a mean phone error rate of 3.99 over 15 "
    "languages.",
    full=override(
        base,
        {
            "data.task": task("bul"),
            "data.batch_size": 256,
            "model.encoder.hidden": 1024,
            "model.decoder.hidden": 512,
            "model.decoder.bridge": "linear",
            "train.schedule": "constant",
            "train.steps": 4000,
        },
    ),
    differs=(
        "Six of the 15 languages.",
        "The baseline also tunes batch size and model size, 36 settings for each language, with one seed. Its larger "
        "size is 256 / 1,024 units.",
        "The baseline ties the embeddings of the decoder with its output layer, and reads symbols that occur fewer "
        "than 5 times as unknown.",
    ),
)
