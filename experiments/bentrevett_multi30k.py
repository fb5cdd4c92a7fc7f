"""No attention, context at every step, additive attention: the first three models of bentrevett's tutorial on Multi30k.

Question: do the three encoder-decoders of the tutorial have its order of BLEU, and are they at least as good?
Data: Multi30k task 1, German to English, test_2016_flickr, in lower case, words that occur at least twice (see
  configs/multi30k_deen.py for where to put it).
Setting: the tutorial's sizes: embeddings of 256, 512 units; Adam, greedy search, at most 25 symbols. 7 epochs, the
  tutorial has 10. The rows differ in cell, depth and attention, as in the tutorial.
Cost: 6 trials of 5 minutes and 9 runs of 20 to 35 minutes on one core, 4.6 core-hours. Estimated from 7 steps of the
  model with attention, 1.3 s each; the others are scaled from half the size.
Result: not run yet.
Command: attn-research sweep experiments/bentrevett_multi30k.py
"""

from attn_research.config import Config, Data, Decode, Decoder, Model, Train, override
from attn_research.reports.claims import Claim, above, ordered
from attn_research.reports.papers import Paper
from attn_research.reports.tables import Table
from attn_research.sweeps.tuning import Tune
from attn_research.variants import canonical

SEEDS = (0, 1, 2)
HIDDEN = 512
base = Config(
    data=Data(
        task='translation(path="multi30k", test="test_2016_flickr", units="words", vocabulary=10000, min_count=2, '
        "lowercase=True)",
        batch_size=128,
        shapes=6,
    ),
    model=Model(embedding=256, dropout=0.5, decoder=Decoder(input_feeding="none")),
    train=Train(steps=1589, learning_rate=1e-3, schedule="constant", log_every=227, evaluate_every=227),
    decode=Decode(max_length=25),
)
TUNE = Tune({"train.learning_rate": (1e-3, 3e-3)}, trial={"train.steps": 227})


def models(hidden: int) -> dict[str, dict]:
    """Returns the fields of the three models with `hidden` units in each direction."""
    gru = {"model.encoder.cell": "gru", "model.decoder.cell": "gru", "model.decoder.hidden": hidden}
    return {
        "LSTM, no attention": {
            "model.attention.score": "none",
            "model.encoder.layers": 2,
            "model.encoder.hidden": hidden,
            "model.encoder.direction": "forward",
            "model.decoder.layers": 2,
            "model.decoder.hidden": hidden,
            "model.decoder.bridge": "copy",
            "model.decoder.combination": "none",
        },
        "GRU, context at every step": gru
        | {
            "model.attention.score": 'none(feed="input")',
            "model.encoder.hidden": hidden,
            "model.encoder.direction": "forward",
            "model.decoder.bridge": "copy",
            "model.decoder.combination": "concat(symbol=True)",
        },
        "GRU, additive attention": gru
        | {
            "model.attention.score": f"concat(units={hidden}, bias=True)",
            "model.encoder.hidden": 2 * hidden,
            "model.encoder.direction": "both",
            "model.decoder.placement": "before",
            "model.decoder.combination": "concat(symbol=True)",
        },
    }


NAMES = tuple(models(HIDDEN))
LABELS = {canonical(override(base, changes)).model: name for name, changes in models(HIDDEN).items()}


def label(config: Config) -> str:
    """Returns the name of the model."""
    return LABELS[config.model]


def runs():
    """Yields every model with every seed."""
    for seed in SEEDS:
        for changes in models(HIDDEN).values():
            yield override(base, changes | {"seed": seed})


table = Table(
    row=label,
    columns=("test/bleu", "test/perplexity", "parameters", "flops_per_step", "seeds"),
    title="bentrevett's tutorial: three encoder-decoders on Multi30k German to English, 7 of 10 epochs",
)

TUTORIAL = dict(zip(NAMES, ("13.76", "20.61", "28.30"), strict=True))
PUBLISHED = {(f"Tutorial, {name}", "test/bleu"): (bleu, "SEEN") for name, bleu in TUTORIAL.items()}

SOURCE = "bentrevett/pytorch-seq2seq, outputs of the notebooks, SEEN"
CLAIMS = (
    Claim(
        "Context at every step has a higher BLEU than no attention, and additive attention a higher one than both",
        ordered(tuple(reversed(NAMES)), "test/bleu"),
        SOURCE,
    ),
    Claim(
        "Every model has a higher BLEU than the tutorial prints for it",
        tuple(above(name, "test/bleu", float(bleu)) for name, bleu in TUTORIAL.items()),
        SOURCE,
    ),
)

PAPER = Paper(
    source="bentrevett, pytorch-seq2seq, notebooks 1 to 3, SEEN",
    claim="The LSTM without attention has 13.76 BLEU, the GRU that reads the context at every step 20.61, and the GRU "
    "with additive attention 28.30. These are numbers of a tutorial and not the state of the art.",
    full=override(base, models(HIDDEN)["GRU, additive attention"] | {"train.steps": 2270}),
    differs=(
        "The tutorial's setting is from CODE.",
        "Words and punctuation marks instead of spaCy's tokens.",
        "BLEU by sacrebleu, tokenizer 13a, on lower-cased lines.",
        "The tutorial feeds its own output in half of the training batches; ours is always the reference.",
        "Dropout is also before the output layer, and its masks are those of our cells.",
        "The tutorial's second model also reads the context in the output layer.",
        "The tutorial prints perplexities of outputs that are not forced: 43.8, 37.5, 25.6.",
    ),
)
