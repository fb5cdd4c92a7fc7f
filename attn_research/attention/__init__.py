"""How a decoder looks back at its source; importing any module here registers every variant of every kind."""

from attn_research.attention import entmax, monotonic, normalizers, scores, windows

__all__ = ["entmax", "monotonic", "normalizers", "scores", "windows"]
