"""The digest of a config, which names its run, and the config of its compiled program."""

import hashlib
import json

from attn_research.config.fields import flatten, override
from attn_research.config.schema import Attention, Config, Decode, Output, Train

# Fields that are newer than the first records. The digest leaves them out at their default, so that old runs keep
# their names.
LATER = {
    "model.attention.bias": Attention.bias,
    "model.output.normalizer": Output.normalizer,
    "train.keep": Train.keep,
    "train.imported": Train.imported,
    "decode.coverage_penalty": Decode.coverage_penalty,
    "decode.min_length": Decode.min_length,
    "decode.max_length": Decode.max_length,
    "decode.no_repeat_ngram_size": Decode.no_repeat_ngram_size,
    "decode.sampling": Decode.sampling,
}


def digest(config: Config) -> str:
    """Returns the run's name: the first 10 hex digits of the sha256 of the flat config as sorted JSON."""
    leaves = {name: value for name, value in flatten(config).items() if name not in LATER or value != LATER[name]}
    return hashlib.sha256(json.dumps(leaves, sort_keys=True).encode()).hexdigest()[:10]


def program_config(config: Config) -> Config:
    """Returns the config without seed and learning rate, which a compiled program takes as arguments.

    Runs with equal program configs share one compiled program.
    """
    return override(config, {"seed": 0, "train.learning_rate": 1.0})
