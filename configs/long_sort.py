"""Two thousand symbols, sorted: a long source and a long output on a small machine.

Task: sequences of 1,001 to 2,000 symbols of 20, generated; no download. `concat` makes [b s a] numbers a step; since no
output is fed back, all queries are known at once, and the steps run one after another and again in the backward pass,
so that nothing of [b t s a] is ever kept (attn_research/attention/map_steps.py).
Cost: 40 steps and three searches of four sequences, a minute and a quarter on two cores.
Expected: 97 % of the symbols right along the references; what is searched freely soon loses count.
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
