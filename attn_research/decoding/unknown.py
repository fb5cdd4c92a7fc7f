"""Unknown output symbols, replaced by the source words to which their steps attend most.

After Jean et al. (2015) and Luong et al. (2015, "Addressing the rare word problem"), with attention as the alignment.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from jaxtyping import Float

from attn_research.data.vocab import UNKNOWN
from attn_research.errors import UserError


def replace_unknown(
    output: Sequence[str], weights: Float[np.ndarray, "t s"], words: Sequence[str], lookup: Callable[[str], str]
) -> list[str]:
    """Returns the output, in which every unknown symbol is `lookup` of the word with its step's largest weight.

    Args:
      weights: attention weights; a further row for EOS is not read.
      words: the text of every source symbol.
    """
    attended = weights.argmax(-1)
    return [lookup(words[attended[step]]) if symbol == UNKNOWN else symbol for step, symbol in enumerate(output)]


def read_dictionary(lines: Iterable[str], name: str) -> Mapping[str, str]:
    """Returns the translation of every source word from lines `word<TAB>translation`; the first of a word counts.

    Raises:
      UserError: a line does not have two parts.
    """
    dictionary: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        word, *rest = line.split("\t")
        if len(rest) != 1 or not word.strip() or not rest[0].strip():
            raise UserError(f"{name}:{number} is {line[:40]!r}, but must be a word, a tab and its translation")
        dictionary.setdefault(word.strip(), rest[0].strip())
    return dictionary
