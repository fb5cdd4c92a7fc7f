"""Models that compile quickly: their sizes, parameters, sources, run directories and a tiny training run."""

import functools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from attn_research.config import Config, flatten, override
from attn_research.data.batching import Batch
from attn_research.data.vocab import BOS, EOS, PAD, Vocabulary
from attn_research.models.seq2seq import Seq2Seq, init_parameters
from attn_research.runs import identity
from attn_research.runs.environment import versions
from attn_research.training.checkpoint import Checkpoints
from attn_research.training.step import TrainState

SIZES = {"model.embedding": 5, "model.encoder.hidden": 6, "model.decoder.hidden": 6}
LENGTHS = np.array([4, 1, 6, 0], np.int32)  # the last source is empty
TINY = override(
    Config(),
    {
        "data.task": "reverse(symbols=3, longest=3, longest_test=4, train=100, test=20)", "data.batch_size": 8,
        "data.shapes": 1, "model.embedding": 4, "model.encoder.hidden": 4, "model.decoder.hidden": 4,
        "train.learning_rate": 3e-2, "train.steps": 12, "train.log_every": 4, "train.evaluate_every": 6,
        "decode.ratio": 1.0, "decode.extra": 2,
    },
)  # fmt: skip


@functools.cache
def shapes(one: Seq2Seq):
    return jax.eval_shape(lambda: init_parameters(one, 0))


def parameters(one: Seq2Seq, seed: int):
    """Returns random parameters of standard deviation 1, without compiling anything."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), leaf.dtype), shapes(one))


def sources(padded: int = 6, padding: int = PAD) -> np.ndarray:
    """Returns four sources [4 padded]; `padding` is the symbol behind the end of each."""
    symbols = np.random.default_rng(0).integers(4, 11, (4, 12))[:, :padded]
    return np.where(np.arange(padded)[None] < LENGTHS[:, None], symbols, padding).astype(np.int32)


def batch(padded: int = 6, padding: int = PAD) -> Batch:
    """Returns the sources with one target each; the last target is empty."""
    target = np.random.default_rng(1).integers(4, 9, (4, 5)).astype(np.int32)
    target[:, -1] = EOS
    lengths = np.array([5, 5, 5, 0], np.int32)
    return Batch(*map(jnp.asarray, (sources(padded, padding), LENGTHS, target, lengths, np.arange(4))))


def run_stepwise(session, target):
    """Computes the logits and weights of `teacher_force` with `step` alone; target [b t]."""

    def step(state, symbols):
        state, logits, weights = session.step(state, symbols)
        return state, (logits, weights)

    inputs = jnp.pad(target.T[:-1], ((1, 0), (0, 0)), constant_values=BOS)
    return jax.lax.scan(step, session.start, inputs)[1]


def write_untrained_run(
    directory: Path,
    score: str = "general",
    seed: int = 0,
    symbols: str = "abcde",
    output: str = "softmax",
    scale: float = 1.0,
    **decoder: str,
) -> Path:
    """Writes the directory of a run that was not trained, and two lines to translate.

    Args:
      output: output normalizer.
      scale: factor of the output layer's parameters.
      decoder: fields of `model.decoder`.
    """
    changes = {f"model.decoder.{name}": value for name, value in decoder.items()}
    changes |= {"data.task": "reverse", "model.attention.score": score, "model.output.normalizer": output}
    config = override(Config(), SIZES | changes)
    vocabulary = Vocabulary(tuple(symbols))
    one = Seq2Seq(config.model, len(vocabulary), len(vocabulary))
    code = identity.sources(config)
    identity.write(directory, identity.Identity({}, identity.hash_code(code), versions(), {}, None), code)
    (directory / "config.json").write_text(json.dumps(flatten(config)))
    for side in ("source", "target"):
        vocabulary.save(directory / f"vocabulary_{side}.json")
    params = parameters(one, seed)
    params["params"]["output"] = jax.tree.map(lambda leaf: scale * leaf, params["params"]["output"])
    state = TrainState(params, (), jnp.int32(1), jax.random.PRNGKey(0), jnp.float32(1))
    Checkpoints(directory / "checkpoints").save(1, state, {"best_step": 1})
    (directory / "lines.txt").write_text("a b c\nd e\n")
    return directory


def logged_metrics(directory: Path) -> list[dict]:
    """Reads metrics.jsonl without the wall times."""
    logged = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "seconds"} for line in logged]
