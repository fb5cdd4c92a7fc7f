"""A finished run, ready to be used: `load("runs/<id>").translate(["2 May 1997"])`."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from attn_research import storage
from attn_research.attention.attention import max_source_length
from attn_research.config import Config, field_types, override, unflatten
from attn_research.data.batching import EncodedSplit, Sentences, bucket_sources, collate, max_length
from attn_research.data.segmentation import Segmentation
from attn_research.data.vocab import EOS, UNK, Vocabulary
from attn_research.decoding.outputs import Outputs, fits, rows_at_once
from attn_research.decoding.search import make_search
from attn_research.errors import UserError
from attn_research.models.seq2seq import Seq2Seq, init_parameters
from attn_research.registry import Spec, nearest
from attn_research.runs.compilation_cache import enable_compilation_cache
from attn_research.runs.identity import warn_versions
from attn_research.runs.trust import with_own_code
from attn_research.training.checkpoint import Checkpoints
from attn_research.training.prepare import load_sides, saved_files


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
        self.params = checkpoints.restore_best(jax.eval_shape(lambda: init_parameters(model, config.seed)))

        @jax.jit
        def decode(params, batch):
            session = model.apply(params, batch.source, batch.source_lengths)
            return search(session, batch.source.shape[1], batch.source_lengths)

        self._decode = decode
        self._allowed = max_source_length(config.model.attention.score)
        self._longest = max_length(partial(fits, config.decode))

    def split(self, line: str) -> list[str]:
        """A line of text, with or without its end, as the task's source symbols."""
        return self._segmentations[0].split(_without_end(line))

    def flaw(self, source: Sequence[str]) -> str:
        """Why a source cannot be translated, as in 'has no symbols'; empty if it can."""
        size, decode = len(source), self.config.decode
        if not source:
            return "has no symbols"
        if self._allowed is not None and size > self._allowed:
            return f"has {size} symbols, but score {self.config.model.attention.score} allows at most {self._allowed}"
        if size > self._longest:
            most = f"at most {self._longest} fit into the memory of a search"
            return f"has {size} symbols, but {most} with decode.beam {decode.beam} and decode.ratio {decode.ratio}"
        return ""

    def unknown(self, line: str) -> list[str]:
        """The parts of a line that the run has no symbol for, as they are written."""
        symbols, texts = self.split(line), self._segmentations[0].texts(_without_end(line))
        ids = self.source.encode(symbols)
        return [text for id, text in zip(ids, texts, strict=True) if id == UNK]

    def join(self, symbols: Sequence[str]) -> str:
        """The symbols of an output as a line of text."""
        return self._segmentations[1].join(symbols)

    def translate(self, sentences: Sequence[str | Sequence[str]]) -> list[Translation]:
        """The best output for each source, in the order given.

        Args:
          sentences: each a line of text, which is split as in training, or a list of symbols, which is taken as it is.

        Raises:
          UserError: one string in place of a list, or a source without symbols or with too many.
        """
        return [translations[0] for translations in self.n_best(sentences)]

    def n_best(self, sentences: Sequence[str | Sequence[str]]) -> list[list[Translation]]:
        """The `decode.beam` best outputs for each source, the best first; fewer where there are no more.

        Sources of like length are computed together: neither the others nor their order change an output.
        """
        sources = self._symbols(sentences)
        ids = [self.source.encode(source) for source in sources]
        encoded = EncodedSplit(Sentences.from_lists(ids), Sentences.from_lists([[EOS]] * len(ids)))
        translations: dict[int, list[Translation]] = {}
        for bucket in bucket_sources([len(source) for source in sources], partial(rows_at_once, self.config.decode)):
            batch = collate(encoded, bucket.rows, (bucket.length, 1), bucket.size)
            outputs = jax.device_get(self._decode(self.params, batch))
            translations |= {
                row: self._translations(outputs, index, sources[row]) for index, row in enumerate(bucket.rows)
            }
        return [translations[row] for row in range(len(sources))]

    def _symbols(self, sentences: Sequence[str | Sequence[str]]) -> list[list[str]]:
        if isinstance(sentences, str):
            raise UserError(f"one source is a list of one, as in translate([{sentences[:20]!r}]), not a string")
        sources = []
        for number, sentence in enumerate(sentences):
            source = self.split(sentence) if isinstance(sentence, str) else list(sentence)
            if flaw := self.flaw(source):
                raise UserError(f"source {number} {flaw}")
            for symbol in source:
                if not isinstance(symbol, str):
                    raise UserError(f"source {number} has {symbol!r} among its symbols, which must be strings")
            sources.append(source)
        return sources

    def _translations(self, outputs: Outputs, row: int, sentence: list[str]) -> list[Translation]:
        return [
            Translation(
                sentence,
                self.target.decode(outputs.symbols[:length, k, row]),
                outputs.weights[:length, k, row, : len(sentence)].copy(),  # a view would keep the whole batch
                float(outputs.log_probability[k, row]),
                float(outputs.score[k, row]),
            )
            for k, length in enumerate(outputs.lengths[:, row])
            if np.isfinite(outputs.score[k, row])
        ]


def _without_end(line: str) -> str:
    return line.removesuffix("\n").removesuffix("\r")


def load(directory: str | Path, changes: Mapping[str, Any] | None = None, trust: bool = False) -> Translator:
    """The translator of a run directory; `changes` are made to how it decodes, as in `{"decode.beam": 5}`.

    Args:
      trust: allows to run the users' code that the run was made with, of which its directory has a copy.

    Raises:
      UserError: there is no trained run in it, a file of it is missing, a change does not fit, or the run needs code
        that is not trusted.
    """
    directory = Path(directory)
    checkpoints = Checkpoints(directory / "checkpoints")
    if checkpoints.best_step() is None:
        raise UserError(f"{directory} holds no trained run; `attn-research train` makes one in runs/<id>")
    config = override(with_own_code(_config(directory), directory, trust), _of_decoding(changes or {}))
    warn_versions(directory)
    sides = _sides(directory, config.data.task)
    if jax.config.jax_compilation_cache_dir is None:  # a program that uses this package may have its own
        enable_compilation_cache()
    return Translator(config, *sides, checkpoints)


def _config(directory: Path) -> Config:
    path = directory / "config.json"
    if not path.is_file():
        raise UserError(f"{directory} has no config.json, so what its parameters mean is not known")
    outputs = storage.read_json(path)
    try:
        return unflatten(outputs)
    except (ValueError, AttributeError, TypeError) as error:
        raise UserError(f"{path} is not the config of a run: {error}") from error


def _sides(directory: Path, task: Spec) -> tuple[list[Vocabulary], Sequence[Segmentation]]:
    for part in saved_files(task):
        if not (directory / part).is_file():
            raise UserError(f"{directory} has no {part}, so its symbols are not known; the run is not whole")
    return load_sides(directory, task)


def _of_decoding(changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """The changes, if they are those of fields that trained parameters leave open."""
    known = [name for name in field_types(Config()) if name.startswith("decode.")]
    for name in changes:
        if name not in known:
            raise UserError(f"{name!r} cannot be changed in a trained run; {nearest(name, known)}")
    return changes
