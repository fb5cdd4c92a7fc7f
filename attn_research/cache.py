"""Where everything is kept that can be made again: compiled programs and generated data."""

import os
from pathlib import Path


def cache_root() -> Path:
    """$ATTN_RESEARCH_CACHE, else a folder in $XDG_CACHE_HOME, else one in ~/.cache."""
    own_cache, shared = os.environ.get("ATTN_RESEARCH_CACHE"), os.environ.get("XDG_CACHE_HOME")
    return Path(own_cache) if own_cache else Path(shared or Path.home() / ".cache") / "attn-research"
