"""Metrics as functions of sums over test items: most are a ratio of two sums, BLEU takes ten."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from attn_research.metrics import alignment, text
from attn_research.metrics.ratio import ratio


def exponential(nats: np.ndarray, symbols: np.ndarray) -> np.ndarray:
    """Returns the perplexity exp(nats / symbols), or inf if a float cannot hold it."""
    with np.errstate(over="ignore"):
        return np.exp(ratio(nats, symbols))


@dataclass(frozen=True)
class Metric:
    """A metric: `finish` of the sums of its parts over the items, and its format in a table.

    >>> METRICS["exact"].value([1, 0, 1, 1], [1, 1, 1, 1])
    0.75
    """

    name: str
    label: str
    lower_is_better: bool | None  # None: neither
    percent: bool  # printed times 100
    finish: Callable[..., np.ndarray] = ratio  # (sum of each part, all of one shape) -> metric
    parts: tuple[str, ...] = ("n", "d")  # names in a record; default: numerator and denominator
    minimum: float = 0.0
    maximum: float = math.inf

    def value(self, *parts) -> float:
        """Returns the metric over the test items.

        A ratio leaves out items with a denominator of 0, and is nan if all are.

        Args:
          parts: for each part, a number for each item, [n].
        """
        return float(self.finish(*(np.sum(part, dtype=float) for part in parts)))


def _text(name: str, label: str, parts: tuple[str, ...], lower_is_better: bool = False) -> Metric:
    finish, maximum = partial(text.score_sums, name), math.inf if lower_is_better else 100.0
    return Metric(name, label, lower_is_better, percent=False, finish=finish, parts=parts, maximum=maximum)


def _links(name: str, label: str, finish: Callable[..., np.ndarray], lower_is_better: bool = False) -> Metric:
    parts = alignment.LINK_PARTS
    return Metric(name, label, lower_is_better, percent=True, finish=finish, parts=parts, maximum=1.0)


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("exact", "exact match", lower_is_better=False, percent=True, maximum=1.0),
        Metric("token", "token accuracy", lower_is_better=False, percent=True, maximum=1.0),
        Metric("loss", "loss", lower_is_better=True, percent=False),
        Metric("perplexity", "perplexity", lower_is_better=True, percent=False, finish=exponential, minimum=1.0),
        Metric("impossible", "impossible symbols", lower_is_better=True, percent=True, maximum=1.0),
        Metric("wer", "WER", lower_is_better=True, percent=True, maximum=1.0),
        Metric("per", "PER", lower_is_better=True, percent=True),
        Metric("per_mean", "mean item PER", lower_is_better=True, percent=True),
        Metric("edits", "edit distance", lower_is_better=True, percent=False),
        Metric("aer", "AER", lower_is_better=True, percent=True, maximum=1.0),
        Metric("aer_free", "AER of free outputs", lower_is_better=True, percent=True, maximum=1.0),
        _links("word_aer", "word AER", alignment.alignment_error_rate, lower_is_better=True),
        _links("word_aer_next", "word AER of the next step", alignment.alignment_error_rate, lower_is_better=True),
        _links("word_precision", "word link precision", alignment.precision),
        _links("word_recall", "word link recall", alignment.recall),
        _links("word_f1", "word link F1", alignment.f_measure),
        Metric("entropy", "attention entropy", lower_is_better=None, percent=False),
        Metric("effective_support", "effective support", lower_is_better=None, percent=False),
        Metric("zero_share", "zero weights", lower_is_better=None, percent=True, maximum=1.0),
        Metric("monotonicity", "monotonic steps", lower_is_better=None, percent=True, maximum=1.0),
        Metric("jump", "attention jump", lower_is_better=None, percent=False),
        Metric("covered", "covered source", lower_is_better=None, percent=True, maximum=1.0),
        Metric("padding_mass", "weight on padding", lower_is_better=None, percent=True, maximum=1.0),
        _text("bleu", "BLEU", text.BLEU_PARTS),
        _text("bleu_lc", "BLEU in lower case", text.BLEU_PARTS),
        _text("chrf", "chrF", text.CHRF_PARTS),
        _text("ter", "TER", text.TER_PARTS, lower_is_better=True),
    )
}


def contrast(metric: Metric) -> Metric:
    """Returns how much better a metric is on one set of items than on another, harder one; lower is better.

    Its parts are those of the first set, then those of the second. An item outside of a set has parts of 0 there. So
    items are drawn once for both sets, and seeds are paired.

    >>> contrast(METRICS["exact"]).value([1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 1])
    0.5
    """
    sign = -1.0 if metric.lower_is_better else 1.0

    def finish(*sums):
        half = len(sums) // 2
        return sign * (metric.finish(*sums[:half]) - metric.finish(*sums[half:]))

    width = metric.maximum - metric.minimum
    lower_is_better = None if metric.lower_is_better is None else True
    return replace(metric, finish=finish, lower_is_better=lower_is_better, minimum=-width, maximum=width)
