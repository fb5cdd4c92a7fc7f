"""BLEU and chrF by sacrebleu: what it counts in each item, its score of their sums, and its signature."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import numpy as np

ORDERS = range(1, 7)  # characters of an n-gram in chrF
BLEU_PARTS = ("output", "reference", *(f"right{n}" for n in range(1, 5)), *(f"written{n}" for n in range(1, 5)))
CHRF_PARTS = tuple(f"{what}{n}" for n in ORDERS for what in ("output", "reference", "right"))

# force: early in training many outputs do look as if nobody had put their words together.
SCORERS = {
    "bleu": ("BLEU", {"force": True}),
    "bleu_lc": ("BLEU", {"force": True, "lowercase": True}),
    "chrf": ("CHRF", {}),
}


def _scorer(name: str) -> Any:
    import sacrebleu.metrics

    kind, options = SCORERS[name]
    return getattr(sacrebleu.metrics, kind)(**options)


def score_texts(
    outputs: Sequence[str], references: Sequence[Sequence[str]]
) -> tuple[dict[str, tuple[np.ndarray, ...]], dict[str, str]]:
    """The parts of every score, `{"bleu": ([n], ...), ...}`, and sacrebleu's signatures, `{"bleu": "nrefs:1|..."}`.

    `exact` is among them: 1 where the output is one of the references, letter by letter.

    Args:
      outputs: n lines.
      references: for each of them the right lines, at least one, as people wrote them.
    """
    exact = [output in right for output, right in zip(outputs, references, strict=True)]
    items, signatures = {"exact": (np.array(exact, int), np.ones(len(exact), int))}, {}
    for name in SCORERS:
        scorer = _scorer(name)
        counts = scorer._extract_corpus_statistics(outputs, list(zip_longest(*references)))
        items[name] = tuple(np.array(counts, int).T)
        signatures[name] = str(scorer.get_signature())
    return items, signatures


def finish(name: str, *sums: np.ndarray) -> np.ndarray:
    """The score, 0 to 100, of what `score_texts` counts, summed over items."""
    scorer = _scorer(name)
    counts = np.stack(np.broadcast_arrays(*sums), axis=-1)
    return np.apply_along_axis(lambda one: scorer._compute_score_from_stats(one.tolist()).score, -1, counts)
