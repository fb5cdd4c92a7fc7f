"""Laws of one step after the other."""

import jax
import numpy as np

from attn_research.attention.laws.compare import compare_runs, select_rows
from attn_research.attention.laws.law import error_line, law
from attn_research.attention.laws.trial import AttentionWithHistory, EagerRun, Inputs, Trial


@law(applies=lambda trial: not trial.any_trait("remembers"), required=True)
def history_is_declared(trial: Trial) -> str | None:
    """What reads the weights of earlier steps says so, with remembers=True."""
    try:
        with_history = trial.run_eagerly(trial.inputs, AttentionWithHistory)
    except Exception:
        return None  # the next law fails, for another reason
    try:
        return compare_runs(trial.eager_run, with_history)
    except Exception as error:
        return f"{error_line(error)}; with remembers=True it runs"


@law(required=True)
def it_runs(trial: Trial) -> str | None:
    """Its steps can be taken, compiled and differentiated; weights are [b s]."""
    shape, expected = trial.compiled_run.weights.shape[1:], (len(trial.lengths), trial.padded_length)
    return None if shape == expected else f"the weights of a step are {list(shape)} instead of {list(expected)}"


@law(applies=lambda trial: not trial.any_trait("remembers"))
def all_steps_at_once_are_step_by_step(trial: Trial) -> str | None:
    """What needs no earlier step finds the same for all steps at once."""
    return compare_runs(EagerRun(*trial.compiled_run.all_steps, None), trial.compiled_run)


@law(applies=lambda trial: not trial.training)
def history_is_carried(trial: Trial) -> str | None:
    """Two hypotheses that change places midway, with their histories, go on as each would alone."""
    for leaf in jax.tree.leaves([head.memory for head in trial.eager_run.histories[0]]):
        if leaf.shape[:1] != trial.lengths.shape:
            return f"a memory of shape {list(leaf.shape)} has no batch axis in front"
    half, swap = trial.sizes.steps // 2, np.arange(len(trial.lengths))
    swap[:2] = swap[:2][::-1]
    point, lengths, order = trial.inputs
    queries, order = point.queries.copy(), order.copy()
    queries[half:], order[half] = queries[half:, swap], swap
    actual, alone = (
        trial.run(Inputs(point._replace(queries=queries), lengths, order)),
        select_rows(trial.compiled_run, swap),
    )
    return compare_runs(
        EagerRun(actual.contexts[half:], actual.weights[half:], None),
        EagerRun(alone.contexts[half:], alone.weights[half:], None),
    )
