"""The search that a config asks for."""

from collections.abc import Callable
from functools import partial

from attn_research import config
from attn_research.decoding.beam import beam_search
from attn_research.decoding.greedy import greedy
from attn_research.decoding.penalties import penalties
from attn_research.errors import UserError


def make_search(decode: config.Decode) -> Callable:
    """`(DecoderSession, padded source size, source lengths [b]) -> Outputs`, `decode.beam` hypotheses a source.

    Raises:
      UserError: an unknown length penalty, or one that has nothing to rank.
    """
    penalties.bind(decode.length_penalty)
    if decode.beam > 1:
        return partial(beam_search, decode=decode)
    if decode.length_penalty != config.Decode.length_penalty:
        raise UserError(
            f"decode.length_penalty {str(decode.length_penalty)!r} has no effect with decode.beam 1, which compares no "
            "lengths; set decode.beam to 2 or more, or decode.length_penalty to none"
        )
    return lambda *sources: greedy(*sources, decode).as_n_best()
