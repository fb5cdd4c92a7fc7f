"""Laws of where a state stands in the source."""

import numpy as np

from attn_research.attention.laws.compare import unlike
from attn_research.attention.laws.law import law
from attn_research.attention.laws.trial import Outcome, Trial, Walk


def _permuted(trial: Trial) -> tuple[Outcome, Walk]:
    """What is found with every source permuted, and what that is if places do not matter."""
    rng, order = np.random.default_rng(5), np.tile(np.arange(trial.padded), (len(trial.lengths), 1))
    for row, length in zip(order, trial.lengths, strict=True):
        row[:length] = rng.permutation(length)
    found = trial.run(trial.with_states(np.take_along_axis(trial.inputs.point.states, order[..., None], 1)))
    return found, Walk(trial.outcome.contexts, np.take_along_axis(trial.outcome.weights, order[None], 2), None)


@law(applies=lambda trial: not trial.training and not trial.any_trait("positional"))
def permuting_the_source_permutes_the_weights(trial: Trial) -> str | None:
    """What is not declared positional does not know where a state stands."""
    return unlike(*_permuted(trial))


@law(applies=lambda trial: not trial.training and trial.any_trait("positional"), somewhere=True)
def permuting_the_source_changes_more(trial: Trial) -> str | None:
    """What is declared positional knows where a state stands."""
    return None if unlike(*_permuted(trial)) else "a permuted source has its weights permuted, and nothing else changes"
