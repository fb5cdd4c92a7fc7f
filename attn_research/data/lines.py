"""Lines of text, or lists of symbols in their place, as a user gives them to a trained run."""

from collections.abc import Callable, Sequence

from attn_research.data.segmentation import Segmentation
from attn_research.data.vocab import UNK, Vocabulary
from attn_research.errors import UserError


def as_symbols(sentences: Sequence[str | Sequence[str]], split: Callable, kind: str) -> list[list[str]]:
    """Returns lists of symbols; `split` splits a line of text.

    Raises:
      UserError: a symbol is not a string.
    """
    lists = [split(sentence) if isinstance(sentence, str) else list(sentence) for sentence in sentences]
    for number, symbols in enumerate(lists):
        for symbol in symbols:
            if not isinstance(symbol, str):
                raise UserError(f"{kind} {number} has {symbol!r} among its symbols, which must be strings")
    return lists


def unknown_parts(line: str, segmentation: Segmentation, vocabulary: Vocabulary) -> list[str]:
    """Returns the parts of a line that are not in the vocabulary, as they are written."""
    line = strip_line_break(line)
    ids, texts = vocabulary.encode(segmentation.split(line)), segmentation.texts(line)
    return [text for id, text in zip(ids, texts, strict=True) if id == UNK]


def strip_line_break(line: str) -> str:
    """Returns a line without the line break at its end."""
    return line.removesuffix("\n").removesuffix("\r")
