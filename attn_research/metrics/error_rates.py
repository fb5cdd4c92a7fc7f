"""Error rates of outputs (exact match, WER, PER, edits) and of attention weights (AER)."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from rapidfuzz.distance import Levenshtein

Counts = tuple[np.ndarray, np.ndarray]  # numerator and denominator of each item, [n] and [n]
Tokens = Sequence[str]


def closest_reference(output: Tokens, references: Sequence[Tokens]) -> tuple[int, int]:
    """Returns the edit distance to the closest reference, and the length of that reference.

    Insertions, deletions and substitutions cost 1. If several references are equally close, the first one counts.
    """
    return _closest(_edits(output, references), references)


def _edits(output: Tokens, references: Sequence[Tokens]) -> list[int]:
    return [Levenshtein.distance(output, reference) for reference in references]


def _closest(edits: Sequence[int], references: Sequence[Tokens]) -> tuple[int, int]:
    best = int(np.argmin(edits))
    return edits[best], len(references[best])


def _least_rate(edits: Sequence[int], references: Sequence[Tokens]) -> float:
    """Returns the smallest edit distance per reference symbol. An empty reference counts as one symbol."""
    return min(count / max(1, len(reference)) for count, reference in zip(edits, references, strict=True))


def score_outputs(outputs: Sequence[Tokens], references: Sequence[Sequence[Tokens]]) -> dict[str, Counts]:
    """Returns numerators and denominators of the output metrics: `{"exact": ([n], [n]), "wer": ..., "per": ...}`.

    - exact: 1 if the output is one of the references.
    - wer (word error rate): 1 if it is not.
    - per (phoneme error rate): edit distance to the closest reference, over its length. Both are summed over the items
      before dividing   (Toshniwal & Livescu 2016).
    - per_mean: the mean over the items of edit distance / reference length, of the reference with the smallest
      quotient   (Wu & Cotterell 2019).
    - edits: edit distance to the closest reference, in symbols per item.

    Args:
      outputs: n token lists, without the end symbol.
      references: the correct outputs of each item, at least one.
    """
    distances = [_edits(*pair) for pair in zip(outputs, references, strict=True)]
    edits, lengths = np.array(list(map(_closest, distances, references)), int).reshape(-1, 2).T
    ones = np.ones(len(outputs), int)
    return {
        "exact": ((edits == 0).astype(int), ones),
        "wer": ((edits > 0).astype(int), ones),
        "per": (edits, lengths),
        "per_mean": (np.array(list(map(_least_rate, distances, references)), float), ones),
        "edits": (edits, ones),
    }


def link_errors(
    output_length: int, target_length: int, gold: Iterable[tuple[int, int]], attended: Sequence[int]
) -> tuple[int, int]:
    """Returns numerator and denominator of the alignment error rate of one item   (Och & Ney 2003).

    AER = 1 - (|A & S| + |A & P|) / (|A| + |S|), each of the four summed over the items, with

    - A: one link for each output position, to the source position with the largest weight;
    - S, the sure links: the gold links of output positions that have exactly one;
    - P, the possible links: all gold links. If a position has several, any of them is correct.

    Output positions without a gold link are left out, since attention cannot align a symbol with nothing. So attention
    whose largest weight is always on a gold link has AER 0, and S = P if gold has one link for each position.
    An item whose output is not as long as its target counts (0, 0), since gold links refer to target positions.

    Args:
      gold: (source index, target index) pairs, from 0.
      attended: source index for each output step. Steps after the last output symbol (the end symbol) are ignored.

    >>> link_errors(2, 2, gold=[(0, 0), (1, 1)], attended=[0, 0])
    (2, 4)
    """
    if output_length != target_length:
        return 0, 0
    sources = defaultdict(set)
    for source, target in gold:
        sources[target].add(source)
    sure = sum(len(links) == 1 for links in sources.values())
    possible_hits = sum(attended[target] in links for target, links in sources.items())
    sure_hits = sum(attended[target] in links for target, links in sources.items() if len(links) == 1)
    size = len(sources) + sure
    return size - sure_hits - possible_hits, size


def alignment_errors(
    output_lengths: Sequence[int],
    target_lengths: Sequence[int],
    alignments: Sequence[Iterable[tuple[int, int]]],
    attended: Sequence[Sequence[int]],
) -> Counts:
    """Returns `link_errors` of every item: numerators and denominators."""
    items = zip(output_lengths, target_lengths, alignments, attended, strict=True)
    numerators, denominators = np.array([link_errors(*item) for item in items], int).reshape(-1, 2).T
    return numerators, denominators
