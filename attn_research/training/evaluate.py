"""Evaluates a split: the loss with teacher forcing, and the metrics of the outputs of the search."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np

from attn_research import config
from attn_research.data.batching import Batch, collate, plan_batches
from attn_research.data.segmentation import LearnedSegmentation
from attn_research.data.vocab import Vocabulary
from attn_research.decoding.ensemble import Ensemble, EnsembleSession
from attn_research.decoding.outputs import Outputs, rows_at_once
from attn_research.decoding.search import make_search
from attn_research.metrics import METRICS, alignment_errors, diagnose, score_outputs, score_texts
from attn_research.metrics.error_rates import Counts
from attn_research.models.output_normalizers import cross_entropy
from attn_research.models.seq2seq import Seq2Seq
from attn_research.models.session import DecoderSession
from attn_research.training.prepare import Split
from attn_research.training.step import token_mask
from attn_research.training.word_alignment import WordWeights, has_links, score_words, word_weights

MAX_LOGITS = 2**30  # bytes of the logits of a batch with teacher forcing
Items = dict[str, tuple[np.ndarray, ...]]  # parts of each metric, item by item
Rewrite = Callable[[int, list[str], np.ndarray], list[str]]  # (item, output, weights [t s]) -> output of equal length


class EvalOutput(NamedTuple):
    """The evaluation of one batch."""

    loss: jax.Array  # [b] that of training, summed over the symbols of the reference, without label smoothing
    nll: jax.Array  # [b] nats, summed over the symbols of the reference; inf if one has the probability 0
    correct: jax.Array  # [b] symbols of the reference that have the highest probability
    impossible: jax.Array | None  # [b] symbols of the reference that have the probability 0; None if there can be none
    outputs: Outputs  # best hypothesis of each source
    attended: jax.Array | None  # [t b] source position with the largest weight, with teacher forcing
    forced_weights: jax.Array | None = None  # [t b s] attention weights, with teacher forcing


class Evaluation(NamedTuple):
    """The evaluation of one split, item by item in its order."""

    items: Items
    outputs: list[list[str]]
    weights: list[np.ndarray]  # [t s] attention of each item; t includes EOS
    texts: list[str] | None  # outputs as lines, if they are scored as text
    signatures: dict[str, str]  # version and settings of each metric that another library computes
    word_weights: WordWeights | None = None  # with teacher forcing, if the split has gold links between words

    @property
    def metrics(self) -> dict[str, float]:
        """The value of each metric over the whole split."""
        return {name: METRICS[name].value(*parts) for name, parts in self.items.items()}


def make_eval_step(
    model: Seq2Seq | Ensemble, decode: config.Decode, aligned: bool = False, word_aligned: bool = False
) -> jax.stages.Wrapped:
    """Returns a jitted `(params, Batch) -> EvalOutput`.

    Args:
      aligned: whether `EvalOutput.attended` is computed.
      word_aligned: whether `EvalOutput.forced_weights` is returned.
    """
    search = make_search(decode)

    @jax.jit
    def eval_step(params: Any, batch: Batch) -> EvalOutput:
        source, lengths, target = map(partial(cast, jax.Array), (batch.source, batch.source_lengths, batch.target))
        session = cast(DecoderSession | EnsembleSession, model.apply(params, source, lengths))
        z, weights = session.unnormalized(target)
        logits, mask = session.normalizer.logits(z), token_mask(batch)
        loss = jnp.where(mask > 0, session.normalizer.loss(z, target, 0.0), 0).sum(0)
        nll = jnp.where(mask > 0, cross_entropy(logits, target, 0.0), 0)
        correct = ((jnp.argmax(logits, -1) == target.T) * mask).sum(0)
        impossible = jnp.isposinf(nll).sum(0) if session.normalizer.sparse else None
        n_best = search(session, source.shape[1], lengths, batch.rows)
        attended = weights.argmax(-1) if aligned and weights.shape[-1] else None
        forced_weights = weights if word_aligned and weights.shape[-1] else None
        return EvalOutput(loss, nll.sum(0), correct, impossible, n_best.hypothesis(0), attended, forced_weights)

    return eval_step


def _batches(split: Split, symbols: int, batch_size: int, decode: config.Decode) -> Iterator[tuple[Batch, np.ndarray]]:
    """Yields batches with every row once. Long shapes have smaller batches, which bounds the memory."""
    for shape, rows in plan_batches(split.encoded, split.shapes, batch_size):
        s, t = split.shapes[shape]
        size = max(1, min(batch_size, rows_at_once(decode, s), MAX_LOGITS // (4 * t * symbols)))
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            yield collate(split.encoded, part.tolist(), (s, t), size), part


def unchanged(item: int, symbols: list[str], weights: np.ndarray) -> list[str]:
    """Returns the symbols of an output as they are."""
    return symbols


def evaluate(
    eval_step: Callable,
    params: Any,
    split: Split,
    vocabulary: Vocabulary,
    batch_size: int,
    decode: config.Decode,
    rewrite: Rewrite = unchanged,
) -> Evaluation:
    """Evaluates parameters with every metric that the split allows.

    Args:
      vocabulary: of the target.
      batch_size: largest number of rows in a batch.
      rewrite: changes the outputs before they are compared with the references.
    """
    n = len(split.data)
    outputs: list[list[str]] = [[]] * n
    weights, attended = [np.zeros(0)] * n, [np.zeros(0, int)] * n
    forced_weights: list[np.ndarray] | None = [np.zeros(0)] * n if has_links(split) else None
    forced: dict[str, Counts] = {}
    diagnostics: dict[str, Counts] = {}
    for batch, rows in _batches(split, len(vocabulary), batch_size, decode):
        output = jax.device_get(eval_step(params, batch))
        _fill(forced, n, rows, _score_forced(output, split.encoded.target.lengths[rows]))
        if output.outputs.weights.shape[-1]:
            _fill(diagnostics, n, rows, _diagnose(output.outputs, split.encoded.source.lengths[rows]))
        for column, row in enumerate(rows):
            length, size = output.outputs.lengths[column], split.encoded.source.lengths[row]
            weights[row] = output.outputs.weights[:length, column, :size].copy()
            outputs[row] = rewrite(row, vocabulary.decode(output.outputs.symbols[:length, column]), weights[row])
            if output.attended is not None:
                attended[row] = output.attended[:, column]
            if output.forced_weights is not None and forced_weights is not None:
                forced_weights[row] = output.forced_weights[: split.encoded.target.lengths[row], column, :size].copy()
    items: Items = {**forced}
    if diagnostics:
        items |= diagnostics | _alignment_scores(split, outputs, weights, attended)
    words = word_weights(split, forced_weights) if diagnostics and forced_weights is not None else None
    items |= {} if words is None else score_words(split, words)
    if (raw := split.raw) is None:
        return Evaluation(items | score_outputs(outputs, split.references), outputs, weights, None, {}, words)
    texts, scores, signatures = score_lines(split, outputs, raw)
    return Evaluation(items | scores, outputs, weights, texts, signatures, words)


def _score_forced(output: EvalOutput, tokens: np.ndarray) -> dict[str, Counts]:
    """Returns the metrics with teacher forcing of the first rows of a batch, those of `tokens` [b]."""
    values = {"loss": output.loss, "perplexity": output.nll, "token": output.correct, "impossible": output.impossible}
    return {name: (np.asarray(row[: len(tokens)]), tokens) for name, row in values.items() if row is not None}


def _diagnose(outputs: Outputs, sources: np.ndarray) -> dict[str, Counts]:
    """Returns the diagnostics of the first rows of a batch, those of `sources` [b]."""
    weights, lengths = np.asarray(outputs.weights), np.asarray(outputs.lengths)
    return diagnose(weights[:, : len(sources)], lengths[: len(sources)], sources)


def _fill(items: dict[str, Counts], n: int, rows: np.ndarray, parts: Mapping[str, Counts]) -> None:
    """Writes the parts of some rows into the parts of all n items."""
    for name, counts in parts.items():
        arrays = items.setdefault(name, (np.zeros(n), np.zeros(n)))
        for array, count in zip(arrays, counts, strict=True):
            array[rows] = count


def score_lines(split: Split, outputs: list[list[str]], raw: list[list[str]]) -> tuple[list[str], dict, dict[str, str]]:
    """Returns the outputs as lines of text, the parts of each text metric, and the signatures of the metrics.

    Args:
      raw: the references of every item as lines.
    """
    texts = [split.segmentation.join(output) for output in outputs]
    references = [list(map(split.segmentation.normalize, right)) for right in raw]
    lowercase = isinstance(split.segmentation, LearnedSegmentation) and split.segmentation.lowercase
    scores, signatures = score_texts(texts, references, split.tokenize, lowercase)
    return texts, scores, signatures


def _alignment_scores(
    split: Split, outputs: list[list[str]], weights: list[np.ndarray], attended: list[np.ndarray]
) -> dict[str, Counts]:
    """Returns `aer`, with teacher forcing, and `aer_free`, of the outputs as long as their references."""
    gold = split.column("alignment")
    if gold is None:
        return {}
    lengths = (split.encoded.target.lengths - 1).tolist()  # without EOS
    along_outputs = [item.argmax(-1).tolist() for item in weights]
    return {
        "aer": alignment_errors(lengths, lengths, gold, [row.tolist() for row in attended]),
        "aer_free": alignment_errors(list(map(len, outputs)), lengths, gold, along_outputs),
    }
