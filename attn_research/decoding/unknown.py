"""Unknown output symbols, replaced by the source words to which their steps attend most.

After Jean et al. (2015) and Luong et al. (2015, "Addressing the rare word problem"), with attention as the alignment.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from attn_research.attention.scores import scores
from attn_research.config import Config
from attn_research.data.segmentation import SPACE, LearnedSegmentation, Segmentation
from attn_research.data.vocab import UNKNOWN
from attn_research.errors import UserError

# The step whose weights belong to a symbol: the one that predicts it, or the next one, which reads it.
Step = Literal["predicting", "reading"]


class UnknownReplacement(NamedTuple):
    """How unknown symbols of an output are replaced by source words."""

    segmentations: Sequence[Segmentation]  # of source and target
    dictionary: Mapping[str, str] = MappingProxyType({})  # translations of source words; any other word is copied
    step: Step = "predicting"

    def replace(
        self, output: Sequence[str], weights: Float[np.ndarray, "t s"], source: Sequence[str], line: str | None = None
    ) -> list[str]:
        """Returns the output with source words for unknown symbols.

        Args:
          weights: attention weights, with those of the step that writes EOS, if the output ends with it.
          source: the source symbols.
          line: the source as text, from which words are copied as they are written; None: the symbols are copied.
        """
        words = source if line is None else self.segmentations[0].texts(line)
        prefix = ""
        if isinstance(self.segmentations[1], LearnedSegmentation):
            prefix, words = SPACE, [word.removeprefix(SPACE).strip() for word in words]
        if self.step == "reading":
            weights = np.concatenate([weights[1:], weights[-1:]])
        return replace_unknown(output, weights, words, lambda word: prefix + self.dictionary.get(word, word))


def attends(config: Config) -> bool:
    """Whether the model of a config has attention weights."""
    return scores.bind(config.model.attention.score).traits.attends


def require_weights(configs: Sequence[Config]) -> None:
    """Checks that unknown symbols can be replaced.

    Raises:
      UserError: no model has attention.
    """
    if not any(map(attends, configs)):
        score = str(configs[0].model.attention.score)
        raise UserError(
            f"an unknown symbol is replaced by the source word with the largest attention weight, but score {score!r} "
            "has no attention"
        )


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
