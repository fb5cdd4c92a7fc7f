"""How many sources a search takes at a time, so that one long source does not take gigabytes."""

from attn_research import config
from attn_research.decoding.outputs import length_limits

# Bytes of the attention weights of one search. The search and what is read from it take a few times as much.
MEMORY = 2**28
LONGEST = 2**16  # symbols of a source at most, however few an output may have


def rows_at_once(decode: config.Decode, length: int) -> int:
    """The number of sources of a padded length whose weights fit into MEMORY; 0 if not even one does."""
    steps = max(1, int(length_limits(decode, length)[-1]))
    return MEMORY // (4 * steps * decode.beam * length)


def fits(decode: config.Decode, length: int) -> bool:
    """Whether a source of a padded length can be searched."""
    return length <= LONGEST and rows_at_once(decode, length) > 0
