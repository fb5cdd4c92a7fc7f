"""Translation with a finished run: `load("runs/<id>").translate(["2 May 1997"])`."""

import functools
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from attn_research import storage
from attn_research.attention.attention import max_source_length
from attn_research.attention.scores import scores
from attn_research.config import Config, field_types, override, unflatten
from attn_research.data.batching import (
    EMPTY,
    Bucket,
    EncodedSplit,
    Sentences,
    Shape,
    bucket_sources,
    collate,
    max_length,
    padded_length,
)
from attn_research.data.segmentation import Segmentation
from attn_research.data.vocab import EOS, UNK, Vocabulary
from attn_research.decoding.forced import forced_outputs, forced_rows
from attn_research.decoding.outputs import Outputs, fits, rows_at_once
from attn_research.decoding.penalties import require_attention
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
    """One source and one output of the model."""

    source: list[str]
    output: list[str]
    weights: np.ndarray  # attention weights [t s]; t includes the end symbol, s is 0 without attention
    log_probability: float  # of the output, in nats
    score: float  # log probability with length and coverage penalty; the search ranks by it


class Translator:
    """The model of a run with the parameters of its best checkpoint."""

    def __init__(
        self,
        config: Config,
        vocabularies: Sequence[Vocabulary],
        segmentations: Sequence[Segmentation],
        checkpoints: Checkpoints,
    ):
        self.config, (self.source, self.target), self._segmentations = config, vocabularies, segmentations
        require_attention(config.decode, scores.bind(config.model.attention.score).traits.attends)
        model = Seq2Seq(config.model, len(self.source), len(self.target))
        self.params = checkpoints.restore_best(jax.eval_shape(lambda: init_parameters(model, config.seed)))

        @functools.cache
        def make_decode(samples):
            search = make_search(config.decode, samples)

            @jax.jit
            def decode(params, batch):
                session = model.apply(params, batch.source, batch.source_lengths)
                return search(session, batch.source.shape[1], batch.source_lengths, batch.rows)

            return decode

        @jax.jit
        def force(params, batch):
            session = model.apply(params, batch.source, batch.source_lengths)
            rest = batch.source_lengths, batch.target, batch.target_lengths
            return forced_outputs(session, *rest, config.decode).as_n_best()

        make_search(config.decode)  # checks the fields
        self._make_decode, self._force = make_decode, force
        self._max_source_length = max_source_length(config.model.attention.score)
        self._max_search_length = max_length(partial(fits, config.decode))
        self._max_forced_length = max_length(lambda length: forced_rows(length, len(self.target)) > 0)

    def split(self, line: str) -> list[str]:
        """Splits a line of text into source symbols; a line break at its end is dropped."""
        return self._segmentations[0].split(_strip_line_break(line))

    def split_target(self, line: str) -> list[str]:
        """Splits a line of text into target symbols, as `split` does for a source."""
        return self._segmentations[1].split(_strip_line_break(line))

    def flaw(self, source: Sequence[str]) -> str:
        """Returns why a source cannot be translated, as in 'has no symbols'; empty if it can."""
        size, decode, score = len(source), self.config.decode, self.config.model.attention.score
        if not source:
            return "has no symbols"
        if self._max_source_length is not None and size > self._max_source_length:
            return f"has {size} symbols, but score {score} allows at most {self._max_source_length}"
        if size > self._max_search_length:
            most = f"at most {self._max_search_length} fit into the memory of a search"
            return f"has {size} symbols, but {most} with decode.beam {decode.beam} and decode.ratio {decode.ratio}"
        return ""

    def pair_flaw(self, source: Sequence[str], target: Sequence[str]) -> str:
        """Returns why a target cannot be scored for a source, as `flaw` does; empty if it can."""
        most, size = self._max_forced_length, max(len(source), len(target) + 1)
        too_long = f"has a pair of {size} symbols with EOS, but at most {most} fit into memory" if size > most else ""
        return self.flaw(source) or too_long

    def unknown(self, line: str) -> list[str]:
        """Returns the parts of a line that are not in the vocabulary, as they are written."""
        return _unknown(line, self._segmentations[0], self.source)

    def unknown_target(self, line: str) -> list[str]:
        """Returns the parts of a target line that are not in the vocabulary, as they are written."""
        return _unknown(line, self._segmentations[1], self.target)

    def join(self, symbols: Sequence[str]) -> str:
        """Joins the symbols of an output into a line of text."""
        return self._segmentations[1].join(symbols)

    def translate(self, sentences: Sequence[str | Sequence[str]]) -> list[Translation]:
        """Translates sources; returns the best output for each, in their order.

        Args:
          sentences: lines of text, which are split as in training, or lists of symbols, which are used unchanged.

        Raises:
          UserError: `sentences` is a string, or a source has no symbols or too many.
        """
        return [translations[0] for translations in self.n_best(sentences)]

    def n_best(
        self, sentences: Sequence[str | Sequence[str]], samples: int = 1, items: Sequence[int] | None = None
    ) -> list[list[Translation]]:
        """Returns the `decode.beam` best outputs for each source, best first; fewer if the search finds fewer.

        With `decode.sampling` returns samples, in the order in which they are drawn. Batches are bucketed by length. An
        output does not depend on the other sources, and a search does not depend on their order.

        Args:
          sentences: as in `translate`.
          samples: samples per source.
          items: a number for each source, on which its samples depend; None: its position.

        Raises:
          UserError: as `translate`, or there is no sampling to take `samples` from, or they do not fit into memory.
        """
        sources, decode = self._symbols(sentences), self.config.decode
        self._check_samples(samples, max(map(len, sources), default=1))
        targets: list[list[str]] = [[] for _ in sources]
        buckets = bucket_sources(list(map(len, sources)), partial(rows_at_once, decode, samples=samples))
        shapes = [(bucket, (bucket.length, 1)) for bucket in buckets]
        return self._run(self._make_decode(samples), sources, targets, shapes, items)

    def _check_samples(self, samples: int, longest: int) -> None:
        decode = self.config.decode
        if samples < 1:
            raise UserError(f"samples is {samples}, but must be at least 1")
        if samples > 1 and decode.sampling is None:
            raise UserError(f"samples is {samples}, but decode.sampling is None; set it to sample to draw samples")
        most = rows_at_once(decode, padded_length(longest))
        if samples > most:
            raise UserError(f"samples is {samples}, but at most {most} fit into memory for {longest} source symbols")

    def score(
        self, sentences: Sequence[str | Sequence[str]], targets: Sequence[str | Sequence[str]]
    ) -> list[Translation]:
        """Returns each target as a translation of its source, with its log probability, score and attention weights.

        The log probability is in nats, a sum over the symbols of the target and EOS. So an output of a search that ends
        with EOS gets the same log probability, score and weights here.

        Args:
          sentences: sources, as in `translate`.
          targets: one for each source: lines of text or lists of symbols; an empty one is EOS alone.

        Raises:
          UserError: as `translate`, the numbers of sources and targets differ, or a target has too many symbols.
        """
        sources = self._symbols(sentences)
        if isinstance(targets, str):
            raise UserError(f"targets is a string; write a list, as in score(..., [{targets[:20]!r}])")
        outputs = _as_symbols(targets, self.split_target, "target")
        if len(sources) != len(outputs):
            raise UserError(f"there are {len(sources)} sources, but {len(outputs)} targets")
        for number, pair in enumerate(zip(sources, outputs, strict=True)):
            if flaw := self.pair_flaw(*pair):
                raise UserError(f"source {number} {flaw}")
        lengths = [max(len(source), len(output) + 1) for source, output in zip(sources, outputs, strict=True)]
        buckets = bucket_sources(lengths, partial(forced_rows, symbols=len(self.target)))
        shapes = [(bucket, (bucket.length, bucket.length)) for bucket in buckets]
        return [translations[0] for translations in self._run(self._force, sources, outputs, shapes)]

    def _run(
        self,
        function: Callable,
        sources: list[list[str]],
        targets: list[list[str]],
        buckets: list[tuple[Bucket, Shape]],
        items: Sequence[int] | None = None,
    ) -> list[list[Translation]]:
        """Returns the outputs of a jitted `(params, Batch) -> Outputs` for every source."""
        numbers = np.array([*(range(len(sources)) if items is None else items), EMPTY], np.int32)
        ids = [self.source.encode(source) for source in sources]
        target_ids = [[*self.target.encode(target), EOS] for target in targets]
        encoded = EncodedSplit(Sentences.from_lists(ids), Sentences.from_lists(target_ids))
        translations: dict[int, list[Translation]] = {}
        for bucket, shape in buckets:
            batch = collate(encoded, bucket.rows, shape, bucket.size)
            outputs = jax.device_get(function(self.params, batch._replace(rows=numbers[batch.rows])))
            translations |= {
                row: self._translations(outputs, index, sources[row]) for index, row in enumerate(bucket.rows)
            }
        return [translations[row] for row in range(len(sources))]

    def _symbols(self, sentences: Sequence[str | Sequence[str]]) -> list[list[str]]:
        if isinstance(sentences, str):
            raise UserError(f"sentences is a string; write a list, as in translate([{sentences[:20]!r}])")
        sources = _as_symbols(sentences, self.split, "source")
        for number, source in enumerate(sources):
            if flaw := self.flaw(source):
                raise UserError(f"source {number} {flaw}")
        return sources

    def _translations(self, outputs: Outputs, row: int, sentence: list[str]) -> list[Translation]:
        return [
            Translation(
                sentence,
                self.target.decode(outputs.symbols[:length, k, row]),
                np.array(outputs.weights[:length, k, row, : len(sentence)]),  # a view would keep the whole batch
                float(outputs.log_probability[k, row]),
                float(outputs.score[k, row]),
            )
            for k, length in enumerate(outputs.lengths[:, row])
            if np.isfinite(outputs.score[k, row])
        ]


def _as_symbols(sentences: Sequence[str | Sequence[str]], split: Callable, kind: str) -> list[list[str]]:
    """Returns lists of symbols; `split` splits a line of text.

    Raises:
      UserError: a symbol is not a string.
    """
    lists = [split(sentence) if isinstance(sentence, str) else list(sentence) for sentence in sentences]
    for number, symbols in enumerate(lists):
        for symbol in symbols:
            if not isinstance(symbol, str):
                raise UserError(f"{kind} {number} has {symbol!r} among its symbols, which must be strings")
    return lists


def _unknown(line: str, segmentation: Segmentation, vocabulary: Vocabulary) -> list[str]:
    line = _strip_line_break(line)
    ids, texts = vocabulary.encode(segmentation.split(line)), segmentation.texts(line)
    return [text for id, text in zip(ids, texts, strict=True) if id == UNK]


def _strip_line_break(line: str) -> str:
    return line.removesuffix("\n").removesuffix("\r")


def load(directory: str | Path, changes: Mapping[str, Any] | None = None, trust: bool = False) -> Translator:
    """Loads the translator of a run.

    Args:
      directory: of the run.
      changes: fields of `decode` to change, as in `{"decode.beam": 5}`.
      trust: allows users' code that is stored in the directory to run.

    Raises:
      UserError: the directory has no trained run, a file is missing, a change is invalid, or the run needs code that is
        not trusted.
    """
    directory = Path(directory)
    checkpoints = Checkpoints(directory / "checkpoints")
    if checkpoints.best_step() is None:
        raise UserError(f"{directory} holds no trained run; `attn-research train` trains one in runs/<id>")
    config = override(with_own_code(_read_config(directory), directory, trust), _check_changes(changes or {}))
    warn_versions(directory)
    sides = _load_sides(directory, config.data.task)
    cache = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]  # jax adds it at run time
    if cache is None:  # the calling program may have set its own
        enable_compilation_cache()
    return Translator(config, *sides, checkpoints)


def _read_config(directory: Path) -> Config:
    path = directory / "config.json"
    if not path.is_file():
        raise UserError(f"{directory} has no config.json, so its model is unknown")
    leaves = storage.read_json(path)
    try:
        return unflatten(leaves)
    except (ValueError, AttributeError, TypeError) as error:
        raise UserError(f"{path} is not the config of a run: {error}") from error


def _load_sides(directory: Path, task: Spec) -> tuple[list[Vocabulary], Sequence[Segmentation]]:
    for part in saved_files(task):
        if not (directory / part).is_file():
            raise UserError(f"{directory} has no {part}, so its symbols are unknown; the run is incomplete")
    return load_sides(directory, task)


def _check_changes(changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the changes, if all are fields of `decode`. Others would not fit the trained parameters."""
    known = [name for name in field_types(Config()) if name.startswith("decode.")]
    for name in changes:
        if name not in known:
            raise UserError(f"{name!r} cannot be changed in a trained run; {nearest(name, known)}")
    return changes
