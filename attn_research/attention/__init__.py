"""Attention's pieces; importing any of them registers every score."""

from attn_research.attention import additive, coverage, location_aware, positional, scores

__all__ = ["additive", "coverage", "location_aware", "positional", "scores"]
