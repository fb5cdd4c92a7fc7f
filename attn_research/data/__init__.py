"""Tasks as `datasets.DatasetDict`s, and the way from their symbols to padded batches."""

from attn_research.data import synthetic, transduction

__all__ = ["synthetic", "transduction"]
