"""Laws of the weights of one step: their sum, the padding, the other rows, the order of the source."""

import numpy as np

from attn_research.attention.laws import faults
from attn_research.attention.laws.law import law
from attn_research.attention.laws.results import (
    TOLERANCE,
    CompiledRun,
    EagerRun,
    compare_arrays,
    compare_gradients,
    compare_runs,
    format_array,
    locate_first,
    select_rows,
)
from attn_research.attention.laws.trial import Trial


@law(applies=lambda trial: not trial.training and not trial.any_trait("positional"))
def permuting_the_source_permutes_the_weights(trial: Trial) -> str | None:
    """A variant that is not declared positional ignores the order of the source."""
    return compare_runs(*_run_permuted(trial))


@law(applies=lambda trial: not trial.training and trial.any_trait("positional"), one_trial_suffices=True)
def permuting_the_source_changes_more(trial: Trial) -> str | None:
    """A variant that is declared positional depends on the order of the source."""
    if compare_runs(*_run_permuted(trial)):
        return None
    return "a permuted source has its weights permuted, and nothing else changes"


def _run_permuted(trial: Trial) -> tuple[CompiledRun, EagerRun]:
    """Returns the results for permuted sources, and those expected from a variant that ignores the order."""
    rng, order = np.random.default_rng(5), np.tile(np.arange(trial.padded_length), (len(trial.lengths), 1))
    for row, length in zip(order, trial.lengths, strict=True):
        row[:length] = rng.permutation(length)
    actual = trial.run(trial.with_states(np.take_along_axis(trial.inputs.point.states, order[..., None], 1)))
    weights = np.take_along_axis(trial.compiled_run.weights, order[None], 2)
    return actual, EagerRun(trial.compiled_run.contexts, weights, None)


@law
def weights_are_not_negative(trial: Trial) -> str | None:
    """No weight is negative."""
    weights = trial.compiled_run.weights
    return compare_arrays("weights", weights, np.maximum(weights, 0))


@law(applies=lambda trial: not trial.leaks)
def mass_is_held(trial: Trial) -> str | None:
    """The weights of a step sum to the declared mass, one or at most one; with an empty source, to zero."""
    sums = trial.compiled_run.weights.sum(-1)
    inside = sums > 0 if "window" in trial.components else np.ones_like(sums)  # a window may hide every position
    expected = inside * (trial.lengths > 0)
    wrong = sums > expected + TOLERANCE if trial.mass == "at most one" else abs(sums - expected) > TOLERANCE
    if not wrong.any():
        return None
    t, b = (int(i) for i in np.argwhere(wrong)[0])
    return f"the weights of step {t}, row {b} sum to {sums[t, b]:.4g}, but the mass is declared as {trial.mass!r}"


@law(applies=lambda trial: not trial.leaks)
def padding_has_no_weight(trial: Trial) -> str | None:
    """Weights of padding are exactly zero."""
    weights = trial.compiled_run.weights
    wrong = (abs(weights) > 0) & ~trial.real_positions[None]
    if not wrong.any():
        return None
    index, name = locate_first("weights", wrong)
    return f"{name}: {format_array(weights[index])}, of a source of length {trial.lengths[index[1]]}"


@law(applies=lambda trial: not trial.leaks, locate=faults.find_mixing)
def padding_is_invisible(trial: Trial) -> str | None:
    """The values in padded positions change no weight, context or gradient, and get no gradient."""
    actual, expected = trial.run(trial.with_states(trial.noisy_padding)), trial.compiled_run
    violation = compare_runs(actual, expected) or compare_gradients(actual.gradient, expected.gradient)
    leaked = actual.gradient.states * ~trial.real_positions[..., None]
    return violation or compare_arrays("gradient of the padding", leaked, 0 * leaked)


@law(applies=lambda trial: not trial.leaks, locate=faults.find_length)
def padded_length_is_invisible(trial: Trial) -> str | None:
    """More padding changes no weight and no context."""
    padded = trial.padded_length
    states = np.pad(trial.inputs.point.states, ((0, 0), (0, 3), (0, 0)))
    actual = trial.run_eagerly(trial.with_states(states))
    behind = actual.weights[..., padded:]
    violation = compare_arrays("weights behind", behind, 0 * behind)
    return violation or compare_runs(actual._replace(weights=actual.weights[..., :padded]), trial.eager_run)


@law(applies=lambda trial: not trial.training)
def other_rows_are_invisible(trial: Trial) -> str | None:
    """A row of a batch has the same results in any order of the rows, and alone."""
    order = np.random.default_rng(4).permutation(len(trial.lengths))
    moved, middle = trial.run(trial.with_rows(order)), np.array([len(order) // 2])
    violation = compare_runs(moved, select_rows(trial.compiled_run, order))
    violation = violation or compare_gradients(moved.gradient.params, trial.compiled_run.gradient.params)
    return violation or compare_runs(trial.run_eagerly(trial.with_rows(middle)), select_rows(trial.eager_run, middle))
