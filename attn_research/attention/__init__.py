"""How a decoder looks back at its source; importing any module here registers every variant of every kind."""

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
