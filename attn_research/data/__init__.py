"""Tasks as `datasets.DatasetDict`s, and the way from their symbols to padded batches."""

from attn_research.data import dates, probes, synthetic, transduction, translation

__all__ = ["dates", "probes", "synthetic", "transduction", "translation"]
