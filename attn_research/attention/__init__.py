"""Attention variants. Importing any module here registers every score, normalizer and window."""

from attn_research.attention import (
    additive,
    coverage,
    entmax,
    location_aware,
    monotonic,
    normalizers,
    positional,
    scores,
    windows,
)

__all__ = [
    "additive",
    "coverage",
    "entmax",
    "location_aware",
    "monotonic",
    "normalizers",
    "positional",
    "scores",
    "windows",
]
