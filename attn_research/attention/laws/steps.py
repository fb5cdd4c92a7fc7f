"""Laws of one step after the other."""

import jax
import numpy as np

from attn_research.attention.laws.compare import rows_of, unlike
from attn_research.attention.laws.law import law, sentence
from attn_research.attention.laws.trial import AllRemembered, Inputs, Trial, Walk


@law(applies=lambda trial: not trial.any_trait("remembers"), first=True)
def history_is_declared(trial: Trial) -> str | None:
    """What reads the weights of earlier steps says so, with remembers=True."""
    try:
        remembered = trial.walk(trial.inputs, AllRemembered)
    except Exception:
        return None  # the next law fails, for another reason
    try:
        return unlike(trial.walked, remembered)
    except Exception as error:
        return f"{sentence(error)}; with remembers=True it runs"


@law(first=True)
def it_runs(trial: Trial) -> str | None:
    """Its steps can be taken, compiled and differentiated; weights are [b s]."""
    shape, expected = trial.outcome.weights.shape[1:], (len(trial.lengths), trial.padded)
    return None if shape == expected else f"the weights of a step are {list(shape)} instead of {list(expected)}"


@law(applies=lambda trial: not trial.any_trait("remembers"))
def all_steps_at_once_are_step_by_step(trial: Trial) -> str | None:
    """What needs no earlier step finds the same for all steps at once."""
    return unlike(Walk(*trial.outcome.at_once, None), trial.outcome)


@law(applies=lambda trial: not trial.training)
def history_is_carried(trial: Trial) -> str | None:
    """Two hypotheses that change places midway, with their histories, go on as each would alone."""
    for leaf in jax.tree.leaves([head.memory for head in trial.walked.histories[0]]):
        if leaf.shape[:1] != trial.lengths.shape:
            return f"a memory of shape {list(leaf.shape)} has no batch axis in front"
    half, swap = trial.sizes.steps // 2, np.arange(len(trial.lengths))
    swap[:2] = swap[:2][::-1]
    point, lengths, order = trial.inputs
    queries, order = point.queries.copy(), order.copy()
    queries[half:], order[half] = queries[half:, swap], swap
    found, alone = trial.run(Inputs(point._replace(queries=queries), lengths, order)), rows_of(trial.outcome, swap)
    return unlike(
        Walk(found.contexts[half:], found.weights[half:], None), Walk(alone.contexts[half:], alone.weights[half:], None)
    )
