"""Sorting 1,001 to 2,000 symbols: long sources and long outputs on a small machine.

Question: does `concat` train at this length in little memory? It computes [b s a] numbers at every step. Without input
  feeding all queries are known in advance, and the steps run one after another and again in the backward pass. So
  [b t s a] is never in memory (attn_research/attention/map_steps.py).
Data: `sort` over 20 symbols, generated; no download.
Setting: 64 units, batches of 4 sequences, 40 steps.
Cost: 75 seconds on two cores, with three searches of four sequences.
Expected: 97 % token accuracy under teacher forcing. Free outputs soon lose count.
Command: attn-research train configs/long_sort.py
"""

from attn_research.config import Config, override

config = override(
    Config(),
    {
        "data.task": "sort(longest=2000, longest_test=2001, train=1000, test=4)",
        "data.batch_size": 4,
        "data.shapes": 1,
        "model.embedding": 32,
        "model.encoder.hidden": 64,
        "model.decoder.hidden": 64,
        "model.decoder.input_feeding": "none",
        "model.attention.score": "concat",
        "train.steps": 40,
        "train.learning_rate": 1e-2,
        "train.log_every": 10,
        "train.evaluate_every": 40,
        "train.select": "token",
        "decode.ratio": 1.0,
    },
)
