"""A finished run, ready to be used: `load("runs/<id>").translate([list("2 May 1997")])`."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from attn_research.config import Config, from_flat, override
from attn_research.data.batching import Encoded, Sentences, collate
from attn_research.data.segmentation import Segmentation
from attn_research.data.vocab import EOS, Vocabulary
from attn_research.decoding.outputs import Outputs
from attn_research.decoding.search import make_search
from attn_research.errors import UserError
from attn_research.models.seq2seq import Seq2Seq, first_parameters
from attn_research.runs.compilation_cache import enable_compilation_cache
from attn_research.training.checkpoint import Checkpoints
from attn_research.training.prepare import load_sides

MULTIPLE = 8  # sources and batches are padded to multiples of it, so that few shapes are compiled


class Translation(NamedTuple):
    """One source and what the model made of it."""

    source: list[str]
    output: list[str]
    weights: np.ndarray  # [t s] attention; t counts the end symbol, s is 0 without attention
    log_probability: float  # of the output, in nats
    score: float  # the log probability under the length penalty, which ranks the outputs of one source


class Translator:
    """The model of one run with its best parameters."""

    def __init__(
        self,
        config: Config,
        vocabularies: Sequence[Vocabulary],
        segmentations: Sequence[Segmentation],
        checkpoints: Checkpoints,
    ):
        self.config, (self.source, self.target), self._segmentations = config, vocabularies, segmentations
        model, search = Seq2Seq(config.model, len(self.source), len(self.target)), make_search(config.decode)
        self.params = checkpoints.restore_best(jax.eval_shape(lambda: first_parameters(model, config.seed)))

        @jax.jit
        def decode(params, batch):
            translating = model.apply(params, batch.source, batch.source_lengths)
            return search(translating, batch.source.shape[1], batch.source_lengths)

        self._decode = decode

    def split(self, line: str) -> list[str]:
        """A line of text as the task's source symbols."""
        return self._segmentations[0].split(line)

    def join(self, symbols: Sequence[str]) -> str:
        """The symbols of an output as a line of text."""
        return self._segmentations[1].join(symbols)

    def translate(self, sentences: Sequence[Sequence[str]]) -> list[Translation]:
        """The best outputs for a batch of sources, each a list of symbols.

        Raises:
          UserError: a source without symbols.
        """
        return [found[0] for found in self.n_best(sentences)]

    def n_best(self, sentences: Sequence[Sequence[str]]) -> list[list[Translation]]:
        """The `decode.beam` best outputs for each source, the best first; fewer where there are no more.

        Raises:
          UserError: a source without symbols.
        """
        for number, sentence in enumerate(sentences):
            if not sentence:
                raise UserError(f"source {number} has no symbols")
        ids = [self.source.encode(sentence) for sentence in sentences]
        encoded = Encoded(Sentences.of(ids), Sentences.of([[EOS]] * len(ids)))
        shape = (_round_up(max(map(len, ids), default=1)), 1)
        found = jax.device_get(self._decode(self.params, collate(encoded, range(len(ids)), shape, _round_up(len(ids)))))
        return [self._read(found, row, list(sentence)) for row, sentence in enumerate(sentences)]

    def _read(self, found: Outputs, row: int, sentence: list[str]) -> list[Translation]:
        return [
            Translation(
                sentence,
                self.target.decode(found.symbols[:length, k, row]),
                found.weights[:length, k, row, : len(sentence)],
                float(found.log_probability[k, row]),
                float(found.score[k, row]),
            )
            for k, length in enumerate(found.lengths[:, row])
            if np.isfinite(found.score[k, row])
        ]


def _round_up(size: int) -> int:
    return -(-size // MULTIPLE) * MULTIPLE


def load(directory: str | Path, changes: Mapping[str, Any] | None = None) -> Translator:
    """The translator of a run directory; `changes` are made to its config, as in `{"decode.beam": 5}`.

    Raises:
      UserError: there is no trained run in it, or a change does not fit.
    """
    directory = Path(directory)
    if not (directory / "checkpoints" / "best").is_dir():
        raise UserError(f"{directory} holds no trained run; `attn-research train` makes one in runs/<id>")
    kept = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    config = override(from_flat(kept), changes or {})
    if jax.config.jax_compilation_cache_dir is None:  # a program that uses this package may have its own
        enable_compilation_cache()
    return Translator(config, *load_sides(directory, config.data.task), Checkpoints(directory / "checkpoints"))
