"""Attention weights against gold alignments."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

Counts = tuple[np.ndarray, np.ndarray]


def link_errors(
    output_length: int, target_length: int, gold: Iterable[tuple[int, int]], attended: Sequence[int]
) -> tuple[int, int]:
    """Numerator and denominator of the alignment error rate (Och & Ney 2003) of one item.

    AER = 1 - (|A & S| + |A & P|) / (|A| + |S|), each of the four summed over the items, where
    A has one link for each output position, from the source position with the largest weight;
    S, the sure links, are those of output positions that gold links to one source position;
    P, the possible links, are all gold links: at a position with several of them any one is right.
    Output positions that gold links to nothing are left out, since attention cannot answer "nothing". So attention that
    always looks at a right place has AER 0, and where gold has one link a position, S = P as usual.
    An output whose length is not the target's counts nothing (0, 0): its positions are not those that gold speaks of.

    Args:
      gold: (source index, target index) pairs, from 0.
      attended: source index for each output step; what follows the output's last symbol (the end symbol) is ignored.
    """
    if output_length != target_length:
        return 0, 0
    sources = defaultdict(set)
    for source, target in gold:
        sources[target].add(source)
    sure = sum(len(right) == 1 for right in sources.values())
    possible_hits = sum(attended[target] in right for target, right in sources.items())
    sure_hits = sum(attended[target] in right for target, right in sources.items() if len(right) == 1)
    size = len(sources) + sure
    return size - sure_hits - possible_hits, size


def alignment_errors(
    output_lengths: Sequence[int],
    target_lengths: Sequence[int],
    alignments: Sequence[Iterable[tuple[int, int]]],
    attended: Sequence[Sequence[int]],
) -> Counts:
    """`link_errors` of every item: numerators and denominators."""
    items = zip(output_lengths, target_lengths, alignments, attended, strict=True)
    return tuple(np.array([link_errors(*item) for item in items], int).reshape(-1, 2).T)


def entropy(weights: np.ndarray) -> tuple[float, int]:
    """Sum over the steps of -sum_j a_j log a_j, in nats, and the number of steps, of one item's weights [t s]."""
    logarithms = np.log(weights, out=np.zeros_like(weights), where=weights > 0)
    return float(-(weights * logarithms).sum()), len(weights)
