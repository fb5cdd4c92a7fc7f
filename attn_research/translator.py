"""Translation with a finished run, or several: `load("runs/<id>").translate(["2 May 1997"])`."""

import functools
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np

from attn_research.data.batching import EMPTY, Bucket, EncodedSplit, Sentences, Shape, bucket_sources, collate
from attn_research.data.lines import as_symbols, strip_line_break, unknown_parts
from attn_research.data.vocab import EOS
from attn_research.decoding.capacity import Capacity
from attn_research.decoding.forced import forced_outputs, forced_rows
from attn_research.decoding.outputs import Outputs, rows_at_once
from attn_research.decoding.penalties import require_attention
from attn_research.decoding.search import make_search
from attn_research.decoding.trace import Trace, trace
from attn_research.decoding.unknown import Step, UnknownReplacement, attends, require_weights
from attn_research.errors import UserError
from attn_research.loading import LoadedRun, join_models, load_runs
from attn_research.training.checkpoint import Kind, parse_average

Result = TypeVar("Result")


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
    """

    def __init__(self, runs: Sequence[LoadedRun], average: tuple[Kind, int] | None = None):
        self.configs, config = [run.config for run in runs], runs[0].config
        self.config, (self.source, self.target) = config, runs[0].vocabularies
        self._segmentations = runs[0].segmentations
        require_attention(config.decode, any(map(attends, self.configs)))
        model = join_models(runs)
        self.params = [run.restore(average) for run in runs]

        def encode(params, batch):
            return model.apply(params if len(runs) > 1 else params[0], batch.source, batch.source_lengths)

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
        self._capacity = Capacity(self.configs, config.decode, len(self.target))
        self._trace = jax.jit(lambda params, batch: trace(encode(params, batch), batch.target))

    def split(self, line: str) -> list[str]:
        """Splits a line of text into source symbols; a line break at its end is dropped."""
        return self._segmentations[0].split(strip_line_break(line))

    def split_target(self, line: str) -> list[str]:
        """Splits a line of text into target symbols, as `split` does for a source."""
        return self._segmentations[1].split(strip_line_break(line))

    def flaw(self, source: Sequence[str]) -> str:
        """Returns why a source cannot be translated, as in 'has no symbols'; empty if it can."""
        return self._capacity.flaw(len(source))

    def pair_flaw(self, source: Sequence[str], target: Sequence[str]) -> str:
        """Returns why a target cannot be scored for a source, as `flaw` does; empty if it can."""
        return self._capacity.pair_flaw(len(source), len(target))

    def unknown(self, line: str) -> list[str]:
        """Returns the parts of a line that are not in the vocabulary, as they are written."""
        return unknown_parts(line, self._segmentations[0], self.source)

    def unknown_target(self, line: str) -> list[str]:
        """Returns the parts of a target line that are not in the vocabulary, as they are written."""
        return unknown_parts(line, self._segmentations[1], self.target)

    def join(self, symbols: Sequence[str]) -> str:
        """Joins the symbols of an output into a line of text."""
        return self._segmentations[1].join(symbols)

    def require_attention(self) -> None:
        """Raises a UserError if no model has attention, so that unknown symbols cannot be replaced."""
        require_weights(self.configs)

    def replace_unknown(
        self,
        translation: Translation,
        line: str | None = None,
        dictionary: Mapping[str, str] | None = None,
        step: Step = "predicting",
    ) -> list[str]:
        """Returns the output, in which every unknown symbol is the source word with the largest attention weight.

        Args:
          translation: of this translator.
          line: the source as text, from which the text of a symbol is copied as it is written; None: its symbols are
            copied.
          dictionary: translations of source words; a word that it does not have is copied.
          step: whether the weights of the step that predicts a symbol count, or those of the step that reads it.

        Raises:
          UserError: no model has attention.
        """
        self.require_attention()
        line = None if line is None else strip_line_break(line)
        replacement = UnknownReplacement(self._segmentations, dictionary or {}, step)
        return replacement.replace(translation.output, translation.weights, translation.source, line)

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
        self._capacity.check_samples(samples, max(map(len, sources), default=1))
        targets: list[list[str]] = [[] for _ in sources]
        buckets = bucket_sources(list(map(len, sources)), partial(rows_at_once, decode, samples=samples))
        shapes = [(bucket, (bucket.length, 1)) for bucket in buckets]
        read = partial(self._translations, sources)
        return self._run(self._make_decode(samples), sources, targets, shapes, read, items)

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
        n_best = self._run(self._force, sources, outputs, shapes, partial(self._translations, sources))
        return [translations[0] for translations in n_best]

    def trace(
        self, sentences: Sequence[str | Sequence[str]], targets: Sequence[str | Sequence[str]]
    ) -> list[Trace] | None:
        """Returns queries, scores, weights and log probabilities of every step along given outputs.

        The arrays are [t q], [t h s], [t h s] and [t n], with the step that writes EOS. None: the model has no
        attention with scores, or the translator is an ensemble. Arguments and errors are as in `score`.
        """
        sources, outputs, shapes = self._forced(sentences, targets)
        if len(self.configs) > 1 or not attends(self.config) or self.config.model.attention.latent is not None:
            return None

        def read(one: Trace, index: int, row: int) -> Trace:
            steps, size = len(outputs[row]) + 1, len(sources[row])
            scores, weights = (array[:steps, :, index, :size] for array in (one.scores, one.weights))
            return Trace(one.query[:steps, index], scores, weights, one.log_probability[:steps, index])

        return self._run(self._trace, sources, outputs, shapes, read)

    def _forced(
        self, sentences: Sequence[str | Sequence[str]], targets: Sequence[str | Sequence[str]]
    ) -> tuple[list[list[str]], list[list[str]], list[tuple[Bucket, Shape]]]:
        """Returns sources, outputs and batches of pairs. Raises as `score`."""
        sources = self._symbols(sentences)
        if isinstance(targets, str):
            raise UserError(f"targets is a string; write a list, as in score(..., [{targets[:20]!r}])")
        outputs = as_symbols(targets, self.split_target, "target")
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
        read: Callable[[Any, int, int], Result],
        items: Sequence[int] | None = None,
    ) -> list[Result]:
        """Returns what `read(arrays, index in the batch, source)` makes of the results, for every source.

        Args:
          function: `(params, Batch) -> arrays`.
        """
        numbers = np.array([*(range(len(sources)) if items is None else items), EMPTY], np.int32)
        ids = [self.source.encode(source) for source in sources]
        target_ids = [[*self.target.encode(target), EOS] for target in targets]
        encoded = EncodedSplit(Sentences.from_lists(ids), Sentences.from_lists(target_ids))
        results: dict[int, Result] = {}
        for bucket, shape in buckets:
            batch = collate(encoded, bucket.rows, shape, bucket.size)
            arrays = jax.device_get(function(self.params, batch._replace(rows=numbers[batch.rows])))
            results |= {row: read(arrays, index, row) for index, row in enumerate(bucket.rows)}
        return [results[row] for row in range(len(sources))]

    def _symbols(self, sentences: Sequence[str | Sequence[str]]) -> list[list[str]]:
        if isinstance(sentences, str):
            raise UserError(f"sentences is a string; write a list, as in translate([{sentences[:20]!r}])")
        sources = as_symbols(sentences, self.split, "source")
        for number, source in enumerate(sources):
            if flaw := self.flaw(source):
                raise UserError(f"source {number} {flaw}")
        return sources

    def _translations(self, sources: list[list[str]], outputs: Outputs, index: int, row: int) -> list[Translation]:
        return [
            Translation(
                sources[row],
                self.target.decode(outputs.symbols[:length, k, index]),
                np.array(outputs.weights[:length, k, index, : len(sources[row])]),  # a view would keep the whole batch
                float(outputs.log_probability[k, index]),
                float(outputs.score[k, index]),
            )
            for k, length in enumerate(outputs.lengths[:, index])
            if k == 0 or length or np.isfinite(outputs.score[k, index])  # otherwise there is no such hypothesis
        ]


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
    checkpoints_to_average = None if average is None else parse_average(average)
    directories = [directory] if isinstance(directory, str | Path) else directory
    return Translator(load_runs(directories, changes, trust), checkpoints_to_average)
