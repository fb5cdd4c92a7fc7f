"""BLEU by sentence length: Figure 2 of Bahdanau, Cho & Bengio 2015 on another corpus.

Question: does BLEU fall with the length of the source without attention, and not with it? Does a model with attention
  that has seen only short sentences translate long ones?
Data: Multi30k, German to English, a stand-in for WMT 2014 English to French; test_2016_flickr (see
  configs/multi30k_deen.py for where to put it). Training pairs of at most 13 words and punctuation marks (15,900), or
  of at most 30 (28,900). 46 of the 1,000 test sentences are longer than 20.
Setting: one layer of 256 units, the 5,000 most frequent words of each language, greedy search. Only attention and
  training lengths differ between rows. The paper has 1,000 units, 30,000 words, and sentences of up to 30 or 50 words.
Cost: 12 trials of 2 minutes and 18 runs of 7 to 11 minutes on one core, 3.2 core-hours, estimated from 14 steps.
Result: not run yet.
Command: attn-research sweep experiments/bahdanau2015_length.py && attn-research figure
  experiments/bahdanau2015_length.py --by length
"""

from attn_research.config import Config, Data, Decode, Decoder, Encoder, Model, Train, override
from attn_research.reports.claims import Claim, above, below, better
from attn_research.reports.papers import Paper
from attn_research.reports.tables import Table
from attn_research.sweeps.tuning import Tune
from attn_research.variants import canonical

SEEDS = (0, 1, 2)
LENGTHS = (13, 30)  # of training pairs, at most
NAMES = {"none(state)": "none", "none(input)": 'none(feed="input")', "concat": "concat"}


def task(longest: int) -> str:
    """Returns the task with training pairs of at most `longest` symbols."""
    return f'translation(path="multi30k", test="test_2016_flickr", units="words", vocabulary=5000, longest={longest})'


base = Config(
    data=Data(task=task(30), shapes=6),
    model=Model(
        embedding=128,
        dropout=0.2,
        encoder=Encoder(cell="gru", hidden=256, direction="both"),
        decoder=Decoder(cell="gru", hidden=256, input_feeding="none"),
    ),
    train=Train(steps=4000, learning_rate=2e-3, schedule="cosine(warmup=0.05)", log_every=250, evaluate_every=1000),
    decode=Decode(ratio=1.5),
)
TUNE = Tune({"train.learning_rate": (1e-3, 3e-3)}, trial={"train.steps": 800, "train.evaluate_every": 400})


def change(name: str, longest: int) -> dict[str, str]:
    """Returns the fields of a row."""
    return {"model.attention.score": NAMES[name], "data.task": task(longest)}


LABELS = {
    (point.model, point.data.task): f"{name}-{longest}"
    for name in NAMES
    for longest in LENGTHS
    for point in [canonical(override(base, change(name, longest)))]
}


def label(config: Config) -> str:
    """Returns attention and training length, as in the paper's RNNsearch-30."""
    return LABELS[config.model, config.data.task]


def runs():
    """Yields every kind of attention with both training lengths and every seed."""
    for seed in SEEDS:
        for longest in LENGTHS:
            for name in NAMES:
                yield override(base, change(name, longest) | {"seed": seed})


DROP = "test[length<=10 minus length>15]/bleu"
table = Table(
    row=label,
    columns=(
        "test/bleu",
        "test[length<=10]/bleu",
        "test[length>10, length<=15]/bleu",
        "test[length>15, length<=20]/bleu",
        "test[length>20]/bleu",
        DROP,
        "seeds",
    ),
    title="Bahdanau et al. 2015, Figure 2: BLEU by source length, on Multi30k German to English, a stand-in, reduced",
)

PUBLISHED = {
    (f"Bahdanau et al. 2015, Table 1, {name}, WMT English to French, all sentences", "test/bleu"): (bleu, "SEEN")
    for name, bleu in (
        ("RNNencdec-30", "13.93"),
        ("RNNsearch-30", "21.50"),
        ("RNNencdec-50", "17.82"),
        ("RNNsearch-50", "26.75"),
    )
}

SOURCE = "Bahdanau et al. 2015, section 5.1, SEEN"
WITHOUT = ("none(state)", "none(input)")
CLAIMS = (
    Claim(
        "With attention BLEU is higher than without, for both training lengths",
        tuple(better(f"concat-{n}", f"{name}-{n}", "test/bleu") for n in LENGTHS for name in WITHOUT),
        SOURCE,
    ),
    Claim(
        "Attention trained on short sentences has a higher BLEU than no attention trained on longer ones",
        tuple(better("concat-13", f"{name}-30", "test/bleu") for name in WITHOUT),
        SOURCE,
    ),
    Claim(
        "Without attention BLEU is lower on sources of more than 15 symbols than on those of at most 10",
        tuple(above(f"{name}-{n}", DROP, 0.0) for n in LENGTHS for name in WITHOUT),
        "Bahdanau et al. 2015, Figure 2, SEEN",
    ),
    Claim(
        "With attention and longer training sentences it is lower by less than 3 BLEU",
        below("concat-30", DROP, 3.0),
        "Bahdanau et al. 2015, Figure 2, SEEN; the margin is ours",
    ),
    Claim(
        "With attention BLEU loses less with length than without, for both training lengths",
        tuple(better(f"concat-{n}", f"{name}-{n}", DROP) for n in LENGTHS for name in WITHOUT),
        "Bahdanau et al. 2015, Figure 2, SEEN",
    ),
)

PAPER = Paper(
    source="Bahdanau, Cho & Bengio 2015, Neural Machine Translation by Jointly Learning to Align and Translate, "
    "Figure 2 and Table 1, SEEN",
    claim="The performance of the basic encoder-decoder drops sharply with sentence length. RNNsearch-50 shows no "
    "deterioration even with sentences of 50 words or more. RNNsearch-30 even outperforms RNNencdec-50.",
    full=override(
        base,
        {
            "data.task": 'translation(path="hub:wmt/wmt14", configuration="fr-en", source="en", target="fr", '
            'units="words", vocabulary=30000, longest=50)',
            "data.batch_size": 80,
            "model.embedding": 620,
            "model.dropout": 0.0,
            "model.encoder.hidden": 2000,
            "model.attention.score": "concat(units=1000)",
            "model.decoder.hidden": 1000,
            "model.decoder.placement": 'before(output="old")',
            "model.decoder.bridge": 'dense(reads="backward")',
            "model.decoder.combination": "maxout(size=500)",
            "train.optimizer": "adadelta",
            "train.learning_rate": 1.0,
            "train.schedule": "constant",
            "train.steps": 667000,  # RNNsearch-50*, recalled
            "decode.beam": 12,  # not printed, recalled from later code of the group
        },
    ),
    differs=(
        "Another language pair and image captions, 29,000 pairs instead of 348 million words.",
        "The paper's model without attention has an encoder in one direction and reads its last state at every step.",
        "Of the paper's setting, SEEN, the number of steps and the beam are recalled.",
        "BLEU by sacrebleu, tokenizer 13a, instead of multi-bleu.perl on Moses tokens.",
    ),
)
