"""Alignments of words from the attention weights of a split under teacher forcing, scored against gold links."""

from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np

from attn_research.metrics import alignment
from attn_research.training.prepare import Split

SCORES = ("word_aer", "word_precision", "word_recall", "word_f1")


class WordWeights(NamedTuple):
    """The weights between the words of every item, [target words, source words], by both conventions."""

    predicting: list[np.ndarray]  # of the steps that predict the symbols of a target word
    reading: list[np.ndarray]  # of the steps after them, which read these symbols


def has_links(split: Split) -> bool:
    """Whether a split has gold links between words."""
    return "sure" in split.data.column_names


def word_weights(split: Split, weights: Sequence[np.ndarray]) -> WordWeights:
    """Returns the weights between words.

    Args:
      weights: of every item with teacher forcing, [t s]; t includes EOS, s has no padding.
    """
    lengths = {"source": split.encoded.source.lengths, "target": split.encoded.target.lengths - 1}
    words = [split.column(f"{side}_words") or list(map(range, sizes)) for side, sizes in lengths.items()]

    def merge(read: bool) -> list[np.ndarray]:
        items = zip(weights, *words, strict=True)
        return [alignment.merge_words(alignment.weights_of_targets(steps, read), *item) for steps, *item in items]

    return WordWeights(merge(read=False), merge(read=True))


def score_words(split: Split, weights: WordWeights) -> dict[str, tuple[np.ndarray, ...]]:
    """Returns the parts of `word_aer` and its relatives. Each target word is linked with its largest weight."""
    predicting, reading = (_count_links(split, items) for items in weights)
    return dict.fromkeys(SCORES, predicting) | {"word_aer_next": reading}


def _count_links(split: Split, weights: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    gold = (cast(list, split.column(name)) for name in ("sure", "possible"))
    items = zip(map(alignment.argmax_links, weights), *gold, strict=True)
    return tuple(np.array([_count_gold(*item) for item in items]).T)


def _count_gold(links: np.ndarray, sure: list, possible: list) -> tuple[int, int, int, int]:
    return alignment.count_links(links, *(alignment.link_matrix(gold, links.shape) for gold in (sure, possible)))
