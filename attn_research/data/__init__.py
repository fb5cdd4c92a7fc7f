"""Tasks (data/task.py), vocabularies and padded batches."""

from attn_research.data import dates, probes, repeated, synthetic, transduction, translation

__all__ = ["dates", "probes", "repeated", "synthetic", "transduction", "translation"]
