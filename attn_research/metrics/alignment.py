"""Word alignments from attention weights, and their scores against sure and possible links   (Och & Ney 2003).

An alignment of a sentence pair is a boolean matrix [t s], target words by source words, as its weights are. The weights
of the opposite direction, from target to source, give a matrix [s t]: transpose it before combining both.

Which step's weights belong to a target word depends on the model. A step reads the word before and predicts the next
one. By the first convention a word has the weights of the step that predicts it. By the second one it has those of the
step after, which reads it: a decoder that scores with the state after reading the word attends to that word's source.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Bool, Float

from attn_research.metrics.ratio import ratio

LINK_PARTS = ("links", "sure", "sure_hits", "possible_hits")
NEIGHBORS = ((-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))

Matrix = Bool[np.ndarray, "t s"]
Weights = Float[np.ndarray, "t s"]


def link_matrix(links: Iterable[Sequence[int]], shape: tuple[int, int]) -> Matrix:
    """Returns the matrix of (source index, target index) pairs, from 0.

    Args:
      shape: the number of target words and of source words.
    """
    matrix = np.zeros(shape, bool)
    for source, target in links:
        matrix[target, source] = True
    return matrix


def weights_of_targets(weights: Float[np.ndarray, "steps s"], read: bool = False) -> Weights:
    """Returns the weights of each target symbol, given those of all steps under teacher forcing, with that of EOS.

    Args:
      read: whether a symbol has the weights of the step that reads it, one later than the step that predicts it.
    """
    return weights[1:] if read else weights[:-1]


def merge_words(
    weights: Float[np.ndarray, "t s"], source_words: Sequence[int], target_words: Sequence[int]
) -> Float[np.ndarray, "target_words source_words"]:
    """Returns the weights between words, given those between subwords   (Clark et al. 2019).

    The weight on a source word is the sum over its subwords. That of a target word is the mean over its subwords.

    Args:
      source_words: the index of the word of each source symbol.
      target_words: the index of the word of each target symbol.
    """
    of_targets = _indicator(target_words)
    return (of_targets.T @ weights @ _indicator(source_words)) / np.maximum(of_targets.sum(0), 1)[:, None]


def _indicator(words: Sequence[int]) -> np.ndarray:
    """Returns [symbol, word], 1 where the symbol is of the word."""
    return np.eye(max(words) + 1, dtype=np.float32)[np.asarray(words)]


def argmax_links(weights: Weights) -> Matrix:
    """Links each target word with the source word that has the largest weight; with none if all weights are 0."""
    links = np.zeros(weights.shape, bool)
    links[np.arange(len(weights)), weights.argmax(-1)] = True
    return links & (weights > 0)


def threshold_links(weights: Weights, threshold: float) -> Matrix:
    """Links all pairs of words whose weight is at least `threshold`, which is above 0."""
    return weights >= threshold


def intersection(a: Matrix, b: Matrix) -> Matrix:
    """Returns the links of both directions."""
    return a & b


def union(a: Matrix, b: Matrix) -> Matrix:
    """Returns the links of either direction."""
    return a | b


def grow_diag_final(a: Matrix, b: Matrix, final_and: bool = False) -> Matrix:
    """Returns the intersection, grown by links of the union   (Koehn et al. 2003; `symal` of Moses).

    First adds links of the union next to a link, also diagonally, if a word of theirs has no link yet, until there are
    no more. Then adds links of `a`, and then of `b`, wherever, if a word of theirs has no link yet.

    Args:
      final_and: add the last links only if both words have no link yet (grow-diag-final-and).
    """
    links = a & b
    _grow_diagonally(links, a | b)
    for one in (a, b):
        for target, source in np.argwhere(one):
            free = (not links[target].any(), not links[:, source].any())
            if all(free) if final_and else any(free):
                links[target, source] = True
    return links


def _grow_diagonally(links: np.ndarray, candidates: np.ndarray) -> None:
    """Adds candidates next to a link, in place, while one of their words has no link."""
    t, s = links.shape
    added = True
    while added:
        added = False
        for target, source in np.ndindex(t, s):  # also visits links that this pass has added
            for down, right in NEIGHBORS if links[target, source] else ():
                i, j = target + down, source + right
                if 0 <= i < t and 0 <= j < s and candidates[i, j] and not (links[i].any() and links[:, j].any()):
                    links[i, j] = added = True


def count_links(links: Matrix, sure: Matrix, possible: Matrix) -> tuple[int, int, int, int]:
    """Returns |A|, |S|, |A & S| and |A & P| of one sentence pair: LINK_PARTS, which are summed over all pairs.

    Args:
      links: A, the alignment.
      sure: S, the links on which annotators agree.
      possible: further gold links. P is these and all sure ones.
    """
    sure_hits, possible_hits = links & sure, links & (sure | possible)
    return int(links.sum()), int(sure.sum()), int(sure_hits.sum()), int(possible_hits.sum())


def alignment_error_rate(
    links: np.ndarray, sure: np.ndarray, sure_hits: np.ndarray, possible_hits: np.ndarray
) -> np.ndarray:
    """Returns AER = 1 - (|A & S| + |A & P|) / (|A| + |S|)   (Och & Ney 2003)."""
    return 1 - ratio(sure_hits + possible_hits, links + sure)


def precision(links: np.ndarray, sure: np.ndarray, sure_hits: np.ndarray, possible_hits: np.ndarray) -> np.ndarray:
    """Returns |A & P| / |A|   (Och & Ney 2003)."""
    return ratio(possible_hits, links)


def recall(links: np.ndarray, sure: np.ndarray, sure_hits: np.ndarray, possible_hits: np.ndarray) -> np.ndarray:
    """Returns |A & S| / |S|   (Och & Ney 2003)."""
    return ratio(sure_hits, sure)


def f_measure(links: np.ndarray, sure: np.ndarray, sure_hits: np.ndarray, possible_hits: np.ndarray) -> np.ndarray:
    """Returns 2 precision recall / (precision + recall)   (Och & Ney 2000)."""
    counts = links, sure, sure_hits, possible_hits
    return ratio(2 * precision(*counts) * recall(*counts), precision(*counts) + recall(*counts))
