"""Outputs against their references: exact match, and word and phoneme error rate as the G2P papers define them."""

from collections.abc import Sequence

import numpy as np
from rapidfuzz.distance import Levenshtein

from attn_research.metrics.alignment import Counts

Tokens = Sequence[str]


def closest_reference(output: Tokens, references: Sequence[Tokens]) -> tuple[int, int]:
    """Edits (insertions, deletions, substitutions) to the closest reference, and that reference's length.

    Of references that are equally close the first counts.
    """
    edits = [Levenshtein.distance(output, reference) for reference in references]
    best = int(np.argmin(edits))
    return edits[best], len(references[best])


def score_outputs(outputs: Sequence[Tokens], references: Sequence[Sequence[Tokens]]) -> dict[str, Counts]:
    """Numerator and denominator of every metric, an item each: `{"exact": ([n], [n]), "wer": ..., "per": ...}`.

    exact: 1 where the output is one of the references. wer: 1 where it is not. per: edits to the closest reference,
    over that reference's length, both summed over the items (Toshniwal & Livescu 2016).

    Args:
      outputs: n token lists, without the end symbol.
      references: for each item the right answers, at least one.
    """
    edits, lengths = (
        np.array([closest_reference(*pair) for pair in zip(outputs, references, strict=True)], int).reshape(-1, 2).T
    )
    one = np.ones(len(outputs), int)
    return {"exact": ((edits == 0).astype(int), one), "wer": ((edits > 0).astype(int), one), "per": (edits, lengths)}
