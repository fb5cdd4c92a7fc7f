"""A finished run, ready to be used: `load("runs/<id>").translate([list("2 May 1997")])`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from attn_research.config import Config, from_flat
from attn_research.data.batching import Encoded, collate
from attn_research.data.task import split_symbols
from attn_research.data.vocab import EOS, Vocabulary
from attn_research.decoding.greedy import greedy
from attn_research.models.seq2seq import Seq2Seq, first_parameters
from attn_research.training.checkpoint import Checkpoints

MULTIPLE = 8  # sources and batches are padded to multiples of it, so that few shapes are compiled


class Translation(NamedTuple):
    """One source and what the model made of it."""

    source: list[str]
    output: list[str]
    weights: np.ndarray  # [t s] attention; t counts the end symbol, s is 0 without attention
    log_probability: float  # of the output, in nats


class Translator:
    """The model of one run with its best parameters."""

    def __init__(self, config: Config, source: Vocabulary, target: Vocabulary, checkpoints: Checkpoints):
        self.config, self.source, self.target = config, source, target
        model = Seq2Seq(config.model, len(source), len(target))
        self.params = checkpoints.restore_best(first_parameters(model, config.seed))

        @jax.jit
        def decode(params, batch):
            translating = model.apply(params, batch.source, batch.source_lengths)
            return greedy(translating, batch.source.shape[1], batch.source_lengths, config.decode)

        self._decode = decode

    def split(self, line: str) -> list[str]:
        """A line of text as the task's source symbols."""
        return split_symbols(self.config.data.task, line)

    def translate(self, sentences: Sequence[Sequence[str]]) -> list[Translation]:
        """Greedy outputs for a batch of sources, each a list of symbols.

        Raises:
          ValueError: a source without symbols.
        """
        for number, sentence in enumerate(sentences):
            if not sentence:
                raise ValueError(f"source {number} has no symbols")
        ids = [np.array(self.source.encode(sentence), np.int32) for sentence in sentences]
        encoded = Encoded(ids, [np.array([EOS], np.int32)] * len(ids))
        shape = (_round_up(max(map(len, ids), default=1)), 1)
        found = jax.device_get(self._decode(self.params, collate(encoded, range(len(ids)), shape, _round_up(len(ids)))))
        return [
            Translation(
                list(sentence),
                self.target.decode(found.symbols[:length, row]),
                found.weights[:length, row, : len(sentence)],
                float(found.log_probability[row]),
            )
            for row, (sentence, length) in enumerate(zip(sentences, found.lengths))  # noqa: B905 empty rows follow
        ]


def _round_up(size: int) -> int:
    return -(-size // MULTIPLE) * MULTIPLE


def load(directory: str | Path) -> Translator:
    """The translator of a run directory.

    Raises:
      ValueError: there is no trained run in it.
    """
    directory = Path(directory)
    if not (directory / "checkpoints" / "best").is_dir():
        raise ValueError(f"{directory} holds no trained run; `attn-research train` makes one in runs/<id>")
    config = from_flat(json.loads((directory / "config.json").read_text(encoding="utf-8")))
    vocabularies = (Vocabulary.load(directory / f"vocabulary_{side}.json") for side in ("source", "target"))
    return Translator(config, *vocabularies, Checkpoints(directory / "checkpoints"))
