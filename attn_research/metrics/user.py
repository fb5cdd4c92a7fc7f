"""Metrics from a user's own file, named in a table's column: `test/my_metrics.py:symbol_errors`.

`metric(item, **hyper)` returns two whole numbers for one test item. The metric is the sum of the first over all items,
divided by the sum of the second. `item` is one line of `outputs/<split>.jsonl`: a dict with the lists of symbols
`source` and `output`, the list `references` of such lists, and `alignment`, `raw` and `text` if the task has them.
"""

import operator
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from attn_research.errors import UserError
from attn_research.metrics.error_rates import Counts
from attn_research.metrics.metric import Metric
from attn_research.registry import Registry, Spec

# lower_is_better: None if neither is better, and then no row is marked as the best; percent: whether a table prints the
# metric times 100; label: the column's header, "" for the function's name.
metrics = Registry("metric", lower_is_better=None, percent=False, label="")

LIMIT = 2**16  # records hold the counts of an item as uint16


def find(name: str) -> Metric:
    """Returns the metric that `FILE.py:name(hyper=literal, ...)` names.

    Raises:
      UserError: the file, the function or a hyperparameter does not exist.
    """
    spec = metrics.canonical(Spec(name))
    traits = metrics.bind(spec).traits
    label = traits.label or spec[len(spec.module) + 1 :].replace("_", " ")
    return Metric(str(spec), label, traits.lower_is_better, traits.percent)


def count(name: str, items: Iterable[Mapping[str, Any]]) -> Counts:
    """Returns numerators [n] and denominators [n] of a user's metric, one of each for an item.

    Args:
      name: `FILE.py:name(hyper=literal, ...)`.
      items: n lines of `outputs/<split>.jsonl`, as dicts.

    Raises:
      UserError: the user's function returns something else than two whole numbers in the range of a record.
    """
    metric = metrics.bind(Spec(name))
    pairs = [_check(metric(item), name) for item in items]
    numerators, denominators = np.array(pairs, int).reshape(-1, 2).T
    return numerators, denominators


def _check(pair: Any, name: str) -> tuple[int, int]:
    try:
        numerator, denominator = map(operator.index, pair)
    except (TypeError, ValueError):
        numerator = denominator = -1
    if not (0 <= numerator < LIMIT and 0 <= denominator < LIMIT):
        raise UserError(
            f"metric {name!r} returns {pair!r} for an item, but must return two whole numbers from 0 to {LIMIT - 1}"
        )
    return numerator, denominator
