"""What is measured on test items, and how sure it is."""

from attn_research.metrics.alignment import link_errors
from attn_research.metrics.error_rates import closest, score_outputs
from attn_research.metrics.metric import METRICS, Metric, ratio

__all__ = ["METRICS", "Metric", "closest", "link_errors", "ratio", "score_outputs"]
