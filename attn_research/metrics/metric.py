"""Every metric is a ratio of sums over test items, and a function that finishes it."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


def ratio(quotient: np.ndarray) -> np.ndarray:
    """The finishing function of a metric that is the ratio itself."""
    return quotient


def exponential(nats: np.ndarray) -> np.ndarray:
    """The finishing function of perplexity; inf where a float cannot hold it."""
    with np.errstate(over="ignore"):
        return np.exp(nats)


@dataclass(frozen=True)
class Metric:
    """`finish(sum of numerators / sum of denominators)`, and how a table shows it."""

    name: str
    label: str
    lower_is_better: bool | None  # None: neither is better
    percent: bool  # a share, printed times 100
    finish: Callable[[np.ndarray], np.ndarray] = ratio
    least: float = 0.0
    most: float = math.inf

    def value(self, numerators, denominators) -> float:
        """The metric over the test items.

        Args:
          numerators: [n], one number an item.
          denominators: [n]; 0 leaves the item out. Nothing but zeros gives nan.
        """
        return float(self.from_sums(np.sum(numerators, dtype=float), np.sum(denominators, dtype=float)))

    def from_sums(self, numerators: np.ndarray, denominators: np.ndarray) -> np.ndarray:
        """The same from sums that are made already, of any shape; nan where a denominator is 0."""
        nothing = np.full(np.broadcast_shapes(np.shape(numerators), np.shape(denominators)), np.nan)
        return self.finish(np.divide(numerators, denominators, out=nothing, where=np.not_equal(denominators, 0)))


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("exact", "exact match", lower_is_better=False, percent=True, most=1.0),
        Metric("token", "token accuracy", lower_is_better=False, percent=True, most=1.0),
        Metric("loss", "loss", lower_is_better=True, percent=False),
        Metric("perplexity", "perplexity", lower_is_better=True, percent=False, finish=exponential, least=1.0),
        Metric("wer", "WER", lower_is_better=True, percent=True, most=1.0),
        Metric("per", "PER", lower_is_better=True, percent=True),
        Metric("aer", "AER", lower_is_better=True, percent=True, most=1.0),
        Metric("entropy", "attention entropy", lower_is_better=None, percent=False),
    )
}
