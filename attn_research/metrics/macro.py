"""Macro-averages: the mean of a metric over several tasks, each with the same weight."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from attn_research.metrics.metric import Metric
from attn_research.metrics.statistics import Scores


def macro_average(metric: Metric, tasks: int) -> Metric:
    """Returns the mean of a metric over `tasks` tasks.

    Its parts are those of each task in turn. An item of another task has parts of 0 there. So items are drawn once for
    all tasks.

    >>> macro_average(METRICS["exact"], 2).value([1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 0, 1])
    0.75
    """

    def finish(*sums):
        width = len(sums) // tasks
        return sum(metric.finish(*sums[start : start + width]) for start in range(0, len(sums), width)) / tasks

    return replace(metric, finish=finish)


def join_tasks(metric: Metric, tasks: Sequence[Scores | None]) -> Scores | None:
    """Returns the scores of a row for `macro_average`, of the seeds that all tasks have.

    None if a task has no scores, or no seed is common to all.

    Args:
      tasks: the scores of each task in `metric`.
    """
    known = [scores for scores in tasks if scores is not None]
    common = set.intersection(*(set(scores.seeds) for scores in known)) if known else set()
    if len(known) < len(tasks) or not common:
        return None
    seeds = tuple(seed for seed in known[0].seeds if seed in common)
    parts = [[part[[scores.seeds.index(seed) for seed in seeds]] for part in scores.parts] for scores in known]
    if not all(scores.by_item for scores in known):
        sums = [[part.sum(axis=1) for part in of_task] for of_task in parts]
        values = [metric.finish(*one) if scores.by_item else one[0] for scores, one in zip(known, sums, strict=True)]
        return Scores.without_items(seeds, np.mean(values, axis=0))
    return Scores(seeds, tuple(_pad(parts)))


def _pad(parts: Sequence[Sequence[np.ndarray]]) -> list[np.ndarray]:
    """Returns each task's parts [seed, item] over the items of all tasks, with 0 for those of other tasks."""
    sizes = [of_task[0].shape[1] for of_task in parts]
    return [
        np.pad(part, ((0, 0), (sum(sizes[:task]), sum(sizes[task + 1 :]))))
        for task, of_task in enumerate(parts)
        for part in of_task
    ]
