"""Sides that translate lines of text with a run directory: in Python, and with `attn-research translate`."""

import json
import subprocess
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from attn_research.commands.translate import BATCH
from attn_research.config import flatten, override
from attn_research.data.vocab import UNK, Vocabulary
from attn_research.models.seq2seq import init_parameters
from attn_research.training.checkpoint import Checkpoints
from attn_research.training.step import TrainState
from attn_research.translator import load
from benchmarks import jax_training
from benchmarks.commands import PROGRAM
from benchmarks.jax_search import DECODE, sharpen
from benchmarks.questions import PreparedSide
from benchmarks.server import ROOT
from benchmarks.workloads import WORKLOADS, Workload, make_config


def write_run(directory: Path, sizes: Workload, score: str) -> Path:
    """Writes the directory of an untrained run, whose outputs all end at their length limit."""
    config = override(make_config(sizes, score, "attentional"), {"data.task": "reverse"})
    limits = {"decode.ratio": DECODE.ratio, "decode.extra": DECODE.extra}
    run = directory / "run"
    run.mkdir(exist_ok=True)
    (run / "config.json").write_text(json.dumps(flatten(override(config, limits))))
    for side, symbols in zip(("source", "target"), sizes, strict=False):
        Vocabulary(tuple(f"w{number}" for number in range(UNK + 1, symbols))).save(run / f"vocabulary_{side}.json")
    params = sharpen(init_parameters(jax_training.make_model(sizes, config), config.seed), 0.0)
    state = TrainState(params, (), jnp.int32(1), jax.random.PRNGKey(0), jnp.float32(1))
    Checkpoints(run / "checkpoints").save(1, state, {"best_step": 1})
    return run


def make_lines(sizes: Workload, number: int) -> list[str]:
    """Returns lines of random symbols, of random lengths up to that of the workload."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, sizes.source_length + 1, number)
    return [" ".join(f"w{word}" for word in rng.integers(UNK + 1, sizes.source_symbols, size)) for size in lengths]


def in_python(directory: Path, workload: str, score: str, beam: int, lines: int) -> PreparedSide:
    """Translates lines with `Translator.translate`, as many at a time as the command does."""
    sizes = WORKLOADS[workload]
    sentences = make_lines(sizes, lines)
    translator = load(write_run(directory, sizes, score), {"decode.beam": beam})

    def run() -> list[str]:
        batches = [sentences[start : start + BATCH] for start in range(0, lines, BATCH)]
        return [translator.join(one.output) for batch in batches for one in translator.translate(batch)]

    (directory / "lines.txt").write_text("".join(f"{line}\n" for line in sentences), encoding="utf-8")
    (directory / "outputs.txt").write_text("".join(f"{line}\n" for line in run()), encoding="utf-8")
    return PreparedSide(run, {"lines": lines})


def with_command(directory: Path, beam: int, lines: int) -> PreparedSide:
    """Translates the lines of `in_python` with the command, timed from process start with a warm compilation cache."""
    command = [*PROGRAM, "translate", str(directory / "run"), "--input", str(directory / "lines.txt")]

    def run() -> str:
        pipe = subprocess.run([*command, "--beam", str(beam)], cwd=ROOT, check=True, stdout=subprocess.PIPE)
        return pipe.stdout.decode()

    if run() != (directory / "outputs.txt").read_text(encoding="utf-8"):
        raise ValueError("attn-research translate prints other outputs than the translator returns")
    return PreparedSide(run, {"lines": lines})
