"""Dates in many languages to ISO 8601: `<en>March 9, 1987` to `1987-03-09`.

Question: does the decoder need to look back? The encoder is a vanilla RNN, whose last state does not hold a date.
Data: `dates`, generated; no download. Characters to characters, with the locale as the first symbol.
Setting: one layer of 64 units, 1,800 steps of 64 dates.
Cost: about 20 seconds on one core with a warm compilation cache, 40 with a cold one.
Expected: at least 97 % exact match on test with every score, below 30 % without attention.
Command: attn-research train configs/dates.py model.attention.score=general
"""

from attn_research.config import Config, override

config = override(
    Config(),
    {
        "data.task": "dates(train=30000)",
        "data.batch_size": 64,
        "data.shapes": 2,
        "model.embedding": 32,
        "model.encoder.cell": "rnn",
        "model.encoder.hidden": 64,
        "model.decoder.hidden": 64,
        "train.steps": 1800,
        "train.learning_rate": 1.5e-2,
        "train.optimizer": "adam(b2=0.95)",
        "train.schedule": "cosine(warmup=0.1)",
        "train.evaluate_every": 450,
        "train.select": "exact",
        "decode.ratio": 0.0,
        "decode.extra": 12,
    },
)
