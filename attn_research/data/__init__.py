"""Tasks (data/task.py), vocabularies and padded batches."""

from attn_research.data import dates, probes, synthetic, transduction, translation

__all__ = ["dates", "probes", "synthetic", "transduction", "translation"]
