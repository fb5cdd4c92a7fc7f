"""Queries, scores, weights of heads and likely symbols of every step, as JSON values for the explorer.

Runs do not save them. They are computed again from a checkpoint, along the outputs that the run wrote.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from attn_research.data.vocab import EOS, Vocabulary
from attn_research.decoding.trace import Trace
from attn_research.reports.items import END, Item
from attn_research.translator import load
from attn_research.web.packing import pack_integers

LIKELY = 4  # symbols of a step
SHOWN = 48  # components of a query


def compute_traces(directory: Path, items: Sequence[Item]) -> dict[str, Any] | None:
    """Returns the traces of a run on items whose weights it saved; None if its attention has no scores.

    Raises:
      UserError: the checkpoint is missing or damaged, or the run needs code that is not trusted.
    """
    translator = load(directory)
    traces = translator.trace([list(item.source) for item in items], [list(item.output) for item in items])
    return None if traces is None else describe_traces(traces, items, translator.target)


def describe_traces(traces: Sequence[Trace], items: Sequence[Item], vocabulary: Vocabulary) -> dict[str, Any]:
    """Returns traces as JSON values.

    Arrays are packed, items one after another: queries [t q], scores [h t s] and, with several heads, weights [h t s].
    An integer times its value of `units` is the number.

    Args:
      items: as the run translated them. An output that the length limit cuts has no step for the end symbol.
      vocabulary: of the target.
    """
    cut = [_cut(trace, len(item.weights)) for trace, item in zip(traces, items, strict=True)]
    queries, query_unit = pack_integers([np.asarray(trace.query)[:, :SHOWN] for trace in cut])
    scores, score_unit = pack_integers([_heads_first(trace.scores) for trace in cut])
    weights, weight_unit = pack_integers([_heads_first(trace.weights) for trace in cut])
    heads, query_size = (cut[0].scores.shape[1], cut[0].query.shape[1]) if cut else (1, 0)
    return {
        "heads": heads,
        "query_size": min(SHOWN, query_size),
        "queries": queries,
        "scores": scores,
        "weights": weights if heads > 1 else None,  # of one head, the run saved them
        "units": {"query": query_unit, "score": score_unit, "weight": weight_unit},
        "likely": [_likely(trace, vocabulary) for trace in cut],
    }


def _cut(trace: Trace, steps: int) -> Trace:
    query, scores, weights, log_p = trace
    return Trace(query[:steps], scores[:steps], weights[:steps], log_p[:steps])


def _heads_first(array: Any) -> np.ndarray:
    return np.asarray(array).swapaxes(0, 1)


def _likely(trace: Trace, vocabulary: Vocabulary) -> list[list[tuple[str, float]]]:
    """Returns the symbols with the highest probabilities at every step."""
    best = np.argsort(-trace.log_probability, axis=-1)[:, :LIKELY]
    return [
        [(_name(int(i), vocabulary), round(float(np.exp(log_p[i])), 4)) for i in ids]
        for ids, log_p in zip(best, trace.log_probability, strict=True)
    ]


def _name(index: int, vocabulary: Vocabulary) -> str:
    return END if index == EOS else "".join(vocabulary.decode([index]))
