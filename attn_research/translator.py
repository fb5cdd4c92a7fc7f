"""Translation with a finished run, or several: `load("runs/<id>").translate(["2 May 1997"])`."""

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast, get_args

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
from attn_research.data.segmentation import SPACE, LearnedSegmentation, Segmentation
from attn_research.data.vocab import EOS, UNK, Vocabulary
from attn_research.decoding.ensemble import join_sessions
from attn_research.decoding.forced import forced_outputs, forced_rows
from attn_research.decoding.outputs import Outputs, fits, rows_at_once
from attn_research.decoding.penalties import require_attention
from attn_research.decoding.search import make_search
from attn_research.decoding.trace import Trace, trace
from attn_research.decoding.unknown import replace_unknown
from attn_research.errors import UserError
from attn_research.models.seq2seq import Seq2Seq, init_parameters
from attn_research.registry import Spec, nearest
from attn_research.runs.compilation_cache import enable_compilation_cache
from attn_research.runs.identity import warn_versions
from attn_research.runs.trust import with_own_code
from attn_research.training.checkpoint import Checkpoints, Kind
from attn_research.training.prepare import SIDES, load_sides, saved_files


class Translation(NamedTuple):
    """One source and one output of the model."""

    source: list[str]
    output: list[str]
    weights: np.ndarray  # attention weights [t s]; t includes the end symbol, s is 0 without attention
    log_probability: float  # of the output, in nats
    score: float  # log probability with length and coverage penalty; the search ranks by it


class Translator:
    """The model of a run, or an ensemble of several runs.

    Attributes:
      config: of the first run, whose `decode` the search follows.
      configs: of every run.
      params: of every run: those of its best checkpoint, or the mean of several checkpoints.
      attends: whether a model has attention weights.
    """

    def __init__(
        self,
        configs: Sequence[Config],
        vocabularies: Sequence[Vocabulary],
        segmentations: Sequence[Segmentation],
        checkpoints: Sequence[Checkpoints],
        average: tuple[Kind, int] | None = None,
    ):
        self.configs, config = configs, configs[0]
        self.config, (self.source, self.target), self._segmentations = config, vocabularies, segmentations
        self.attends = any(scores.bind(one.model.attention.score).traits.attends for one in configs)
        require_attention(config.decode, self.attends)
        models = [Seq2Seq(one.model, len(self.source), len(self.target)) for one in configs]
        self.params = [
            _restore(one, jax.eval_shape(functools.partial(init_parameters, model, 0)), average)
            for model, one in zip(models, checkpoints, strict=True)
        ]

        def encode(params, batch):
            pairs = zip(models, params, strict=True)
            return join_sessions([model.apply(one, batch.source, batch.source_lengths) for model, one in pairs])

        @functools.cache
        def make_decode(samples):
            search = make_search(config.decode, samples)

            @jax.jit
            def decode(params, batch):
                return search(encode(params, batch), batch.source.shape[1], batch.source_lengths, batch.rows)

            return decode

        @jax.jit
        def force(params, batch):
            rest = batch.source_lengths, batch.target, batch.target_lengths
            return forced_outputs(encode(params, batch), *rest, config.decode).as_n_best()

        make_search(config.decode)  # checks the fields
        self._make_decode, self._force = make_decode, force
        self._trace = jax.jit(lambda params, batch: trace(encode(params, batch), batch.target))
        limits = {one.model.attention.score: max_source_length(one.model.attention.score) for one in configs}
        self._max_source_lengths = {score: limit for score, limit in limits.items() if limit is not None}
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
        size, decode = len(source), self.config.decode
        if not source:
            return "has no symbols"
        for score, most in self._max_source_lengths.items():
            if size > most:
                return f"has {size} symbols, but score {score} allows at most {most}"
        if size > self._max_search_length:
            fitting = f"at most {self._max_search_length} fit into the memory of a search"
            return f"has {size} symbols, but {fitting} with decode.beam {decode.beam} and decode.ratio {decode.ratio}"
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

    def require_attention(self) -> None:
        """Checks that unknown symbols can be replaced.

        Raises:
          UserError: no model has attention.
        """
        if not self.attends:
            score = str(self.config.model.attention.score)
            raise UserError(
                f"an unknown symbol is replaced by the source word with the largest attention weight, but score "
                f"{score!r} has no attention"
            )

    def replace_unknown(
        self, translation: Translation, line: str | None = None, dictionary: Mapping[str, str] | None = None
    ) -> list[str]:
        """Returns the output, in which every unknown symbol is the source word with its step's largest weight.

        Args:
          translation: of this translator.
          line: the source as text, from which the text of a symbol is copied as it is written; None: its symbols are
            copied.
          dictionary: translations of source words; a word that it does not have is copied.

        Raises:
          UserError: no model has attention.
        """
        self.require_attention()
        words, known = translation.source, dictionary or {}
        if line is not None:
            words = self._segmentations[0].texts(_strip_line_break(line))
        prefix = ""
        if isinstance(self._segmentations[1], LearnedSegmentation):
            prefix, words = SPACE, [word.removeprefix(SPACE).strip() for word in words]
        lookup = lambda word: prefix + known.get(word, word)  # noqa: E731
        return replace_unknown(translation.output, translation.weights, words, lookup)

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
        sources, outputs, shapes = self._forced(sentences, targets)
        return [translations[0] for translations in self._run(self._force, sources, outputs, shapes)]

    def trace(
        self, sentences: Sequence[str | Sequence[str]], targets: Sequence[str | Sequence[str]]
    ) -> list[Trace] | None:
        """Returns queries, scores, weights and log probabilities of every step along given outputs.

        The arrays are [t q], [t h s], [t h s] and [t n], with the step that writes EOS. None: the model has no
        attention with scores, or the translator is an ensemble. Arguments and errors are as in `score`.
        """
        sources, outputs, shapes = self._forced(sentences, targets)
        if len(self.configs) > 1 or not self.attends or self.config.model.attention.latent is not None:
            return None
        encoded = self._encode_pairs(sources, outputs)
        traces: dict[int, Trace] = {}
        for bucket, shape in shapes:
            batch = collate(encoded, bucket.rows, shape, bucket.size)
            arrays = jax.device_get(self._trace(self.params, batch))
            for index, row in enumerate(bucket.rows):
                steps, size = len(outputs[row]) + 1, len(sources[row])
                query, scores, weights, log_p = arrays
                traces[row] = Trace(
                    query[:steps, index],
                    scores[:steps, :, index, :size],
                    weights[:steps, :, index, :size],
                    log_p[:steps, index],
                )
        return [traces[row] for row in range(len(sources))]

    def _forced(
        self, sentences: Sequence[str | Sequence[str]], targets: Sequence[str | Sequence[str]]
    ) -> tuple[list[list[str]], list[list[str]], list[tuple[Bucket, Shape]]]:
        """Returns sources, outputs and batches of pairs. Raises as `score`."""
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
        return sources, outputs, shapes

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
        encoded = self._encode_pairs(sources, targets)
        translations: dict[int, list[Translation]] = {}
        for bucket, shape in buckets:
            batch = collate(encoded, bucket.rows, shape, bucket.size)
            outputs = jax.device_get(function(self.params, batch._replace(rows=numbers[batch.rows])))
            translations |= {
                row: self._translations(outputs, index, sources[row]) for index, row in enumerate(bucket.rows)
            }
        return [translations[row] for row in range(len(sources))]

    def _encode_pairs(self, sources: list[list[str]], targets: list[list[str]]) -> EncodedSplit:
        ids = [self.source.encode(source) for source in sources]
        target_ids = [[*self.target.encode(target), EOS] for target in targets]
        return EncodedSplit(Sentences.from_lists(ids), Sentences.from_lists(target_ids))

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


def load(
    directory: str | Path | Sequence[str | Path],
    changes: Mapping[str, Any] | None = None,
    trust: bool = False,
    average: str | None = None,
) -> Translator:
    """Loads the translator of a run, or of an ensemble of runs.

    Args:
      directory: of the run; several for an ensemble, whose search follows the config of the first run.
      changes: fields of `decode` to change, as in `{"decode.beam": 5}`.
      trust: allows users' code that is stored in a directory to run.
      average: "last:N" or "best:N", the mean of the parameters of the N newest checkpoints of that kind; None: the
        parameters of the best checkpoint.

    Raises:
      UserError: `average` is invalid, a directory has no trained run or too few checkpoints, a
        file is missing, a change is invalid, a run needs code that is not trusted, or the runs of an ensemble read or
        write different symbols.
    """
    checkpoints_to_average = None if average is None else _parse_average(average)
    directories = [Path(directory)] if isinstance(directory, str | Path) else [Path(one) for one in directory]
    if not directories:
        raise UserError("no run is given; an ensemble needs at least one")
    runs = [_load_run(one, changes or {}, trust) for one in directories]
    for one, run in zip(directories[1:], runs[1:], strict=True):
        _check_same_symbols(directories[0], runs[0], one, run)
    cache = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]  # jax adds it at run time
    if cache is None:  # the calling program may have set its own
        enable_compilation_cache()
    configs, checkpoints = [run.config for run in runs], [run.checkpoints for run in runs]
    return Translator(configs, runs[0].vocabularies, runs[0].segmentations, checkpoints, checkpoints_to_average)


def _parse_average(text: str) -> tuple[Kind, int]:
    """Returns kind and number of "last:N" or "best:N"."""
    kind, _, number = text.partition(":")
    if kind not in get_args(Kind) or not (number.isdecimal() and int(number) > 1):
        raise UserError(f"average is {text!r}, but must be last:N or best:N with N at least 2, as in last:5")
    return cast(Kind, kind), int(number)


def _restore(checkpoints: Checkpoints, template: Any, average: tuple[Kind, int] | None) -> Any:
    return checkpoints.restore_best(template) if average is None else checkpoints.restore_average(template, *average)


class _Run(NamedTuple):
    """A trained run; the parts are source and target."""

    config: Config
    vocabularies: list[Vocabulary]
    segmentations: Sequence[Segmentation]
    checkpoints: Checkpoints


def _load_run(directory: Path, changes: Mapping[str, Any], trust: bool) -> _Run:
    checkpoints = Checkpoints(directory / "checkpoints")
    if checkpoints.best_step() is None:
        raise UserError(f"{directory} holds no trained run; `attn-research train` trains one in runs/<id>")
    config = override(with_own_code(_read_config(directory), directory, trust), _check_changes(changes))
    warn_versions(directory)
    return _Run(config, *_load_sides(directory, config.data.task), checkpoints)


def _check_same_symbols(first: Path, run: _Run, other: Path, other_run: _Run) -> None:
    """Rejects an ensemble of two runs with different vocabularies or segmentations; names the first difference."""
    for side, left, right in zip(SIDES, run.vocabularies, other_run.vocabularies, strict=True):
        if left != right:
            number, a, b = _first_difference(left.symbols, right.symbols)
            raise UserError(
                f"the {side} vocabularies of {first} and {other} differ, first in symbol {number}, which is {a} and "
                f"{b}; an ensemble needs runs with the same vocabularies"
            )
    for side, one, two in zip(SIDES, run.segmentations, other_run.segmentations, strict=True):
        if type(one) is not type(two) or _content(one) != _content(two):
            raise UserError(
                f"the {side} segmentations of {first} and {other} differ; an ensemble needs runs that split alike"
            )


def _first_difference(left: Sequence[str], right: Sequence[str]) -> tuple[int, str, str]:
    """Returns the first index at which two lists differ, from 0, and the two values for a message."""
    pairs = list(itertools.zip_longest(left, right))
    number = next(number for number, (a, b) in enumerate(pairs) if a != b)
    a, b = ("missing" if one is None else repr(one) for one in pairs[number])
    return number, a, b


def _content(segmentation: Segmentation) -> Any:
    """Returns a value that is equal for two segmentations of the same type that split alike."""
    if isinstance(segmentation, LearnedSegmentation):
        return segmentation.tokenizer.to_str()
    return vars(segmentation)


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
