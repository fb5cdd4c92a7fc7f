"""Laws of where a state stands in the source."""

import numpy as np

from attn_research.attention.laws.compare import compare_runs
from attn_research.attention.laws.law import law
from attn_research.attention.laws.trial import CompiledRun, EagerRun, Trial


def _run_permuted(trial: Trial) -> tuple[CompiledRun, EagerRun]:
    """What is found with every source permuted, and what that is if places do not matter."""
    rng, order = np.random.default_rng(5), np.tile(np.arange(trial.padded_length), (len(trial.lengths), 1))
    for row, length in zip(order, trial.lengths, strict=True):
        row[:length] = rng.permutation(length)
    actual = trial.run(trial.with_states(np.take_along_axis(trial.inputs.point.states, order[..., None], 1)))
    return actual, EagerRun(
        trial.compiled_run.contexts, np.take_along_axis(trial.compiled_run.weights, order[None], 2), None
    )


@law(applies=lambda trial: not trial.training and not trial.any_trait("positional"))
def permuting_the_source_permutes_the_weights(trial: Trial) -> str | None:
    """What is not declared positional does not know where a state stands."""
    return compare_runs(*_run_permuted(trial))


@law(applies=lambda trial: not trial.training and trial.any_trait("positional"), one_trial_suffices=True)
def permuting_the_source_changes_more(trial: Trial) -> str | None:
    """What is declared positional knows where a state stands."""
    return (
        None
        if compare_runs(*_run_permuted(trial))
        else "a permuted source has its weights permuted, and nothing else changes"
    )
