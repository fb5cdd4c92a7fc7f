"""Metrics over test items, with confidence intervals and comparisons between rows."""

from attn_research.metrics.diagnostics import diagnose
from attn_research.metrics.error_rates import (
    alignment_errors,
    closest_reference,
    link_errors,
    score_outputs,
)
from attn_research.metrics.metric import METRICS, Metric
from attn_research.metrics.statistics import Comparison, Scores
from attn_research.metrics.text import score_texts

__all__ = [
    "METRICS",
    "Comparison",
    "Metric",
    "Scores",
    "alignment_errors",
    "closest_reference",
    "diagnose",
    "link_errors",
    "score_outputs",
    "score_texts",
]
