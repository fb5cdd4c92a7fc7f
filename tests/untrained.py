"""The directory of a run that was not trained, for what reads runs."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
from small_models import SIZES, parameters

from attn_research.config import Config, flatten, override
from attn_research.data.vocab import Vocabulary
from attn_research.models.seq2seq import Seq2Seq
from attn_research.runs import identity
from attn_research.runs.environment import versions
from attn_research.training.checkpoint import Checkpoints
from attn_research.training.step import TrainState


def write_run(directory: Path, score: str = "general") -> Path:
    """A run that was not trained, and two lines to translate."""
    config = override(Config(), SIZES | {"data.task": "reverse", "model.attention.score": score})
    vocabulary = Vocabulary(tuple("abcde"))
    one = Seq2Seq(config.model, len(vocabulary), len(vocabulary))
    identity.write(directory, identity.Identity({}, {}, versions(), {}, None), {})
    (directory / "config.json").write_text(json.dumps(flatten(config)))
    for side in ("source", "target"):
        vocabulary.save(directory / f"vocabulary_{side}.json")
    state = TrainState(parameters(one, 0), (), jnp.int32(1), jax.random.PRNGKey(0), jnp.float32(1))
    Checkpoints(directory / "checkpoints").save(1, state, {"best_step": 1})
    (directory / "lines.txt").write_text("a b c\nd e\n")
    return directory
