"""How long sources and outputs may be, by the attention and by the memory of a search."""

from collections.abc import Iterable
from functools import partial

from attn_research.attention.attention import max_source_length
from attn_research.config import Config, Decode
from attn_research.data.batching import max_length, padded_length
from attn_research.decoding.forced import forced_rows
from attn_research.decoding.outputs import fits, rows_at_once
from attn_research.errors import UserError


class Capacity:
    """The limits of a model, or of an ensemble.

    Args:
      configs: of the models.
      decode: the search.
      symbols: size of the target vocabulary.
    """

    def __init__(self, configs: Iterable[Config], decode: Decode, symbols: int):
        limits = {score: max_source_length(score) for score in (one.model.attention.score for one in configs)}
        self._decode = decode
        self._by_score = {score: limit for score, limit in limits.items() if limit is not None}
        self._search = max_length(partial(fits, decode))
        self._forced = max_length(lambda length: forced_rows(length, symbols) > 0)

    def flaw(self, size: int) -> str:
        """Returns why a source of `size` symbols cannot be translated, as in 'has no symbols'; empty if it can."""
        if not size:
            return "has no symbols"
        for score, most in self._by_score.items():
            if size > most:
                return f"has {size} symbols, but score {score} allows at most {most}"
        if size > self._search:
            beam, ratio = self._decode.beam, self._decode.ratio
            fitting = f"at most {self._search} fit into the memory of a search"
            return f"has {size} symbols, but {fitting} with decode.beam {beam} and decode.ratio {ratio}"
        return ""

    def pair_flaw(self, source: int, target: int) -> str:
        """Returns why a target of so many symbols cannot be scored for a source, as `flaw` does; empty if it can."""
        size = max(source, target + 1)
        fitting = f"has a pair of {size} symbols with EOS, but at most {self._forced} fit into memory"
        return self.flaw(source) or (fitting if size > self._forced else "")

    def check_samples(self, samples: int, longest: int) -> None:
        """Checks that samples can be drawn of a source of `longest` symbols.

        Raises:
          UserError: there is no sampling, or the samples do not fit into memory.
        """
        if samples < 1:
            raise UserError(f"samples is {samples}, but must be at least 1")
        if samples > 1 and self._decode.sampling is None:
            raise UserError(f"samples is {samples}, but decode.sampling is None; set it to sample to draw samples")
        most = rows_at_once(self._decode, padded_length(longest))
        if samples > most:
            raise UserError(f"samples is {samples}, but at most {most} fit into memory for {longest} source symbols")
