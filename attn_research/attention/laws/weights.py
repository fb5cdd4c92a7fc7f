"""Laws of the weights of one step."""

import numpy as np

from attn_research.attention.laws import lines
from attn_research.attention.laws.compare import (
    TOLERANCE,
    compare_arrays,
    compare_gradients,
    compare_runs,
    format_array,
    locate_first,
    select_rows,
)
from attn_research.attention.laws.law import law
from attn_research.attention.laws.trial import Trial


@law
def weights_are_not_negative(trial: Trial) -> str | None:
    """No weight is below zero."""
    weights = trial.compiled_run.weights
    return compare_arrays("weights", weights, np.maximum(weights, 0))


@law(applies=lambda trial: not trial.leaks)
def mass_is_held(trial: Trial) -> str | None:
    """The weights of a step sum to what is declared as mass, one or at most one; without a source to zero."""
    sums = trial.compiled_run.weights.sum(-1)
    inside = sums > 0 if "window" in trial.components else np.ones_like(sums)  # a window may show nothing
    expected = inside * (trial.lengths > 0)
    wrong = sums > expected + TOLERANCE if trial.mass == "at most one" else abs(sums - expected) > TOLERANCE
    if not wrong.any():
        return None
    t, b = (int(i) for i in np.argwhere(wrong)[0])
    return f"the weights of step {t}, row {b} sum to {sums[t, b]:.4g}, but the mass is declared as {trial.mass!r}"


@law(applies=lambda trial: not trial.leaks)
def padding_has_no_weight(trial: Trial) -> str | None:
    """Weights of padding are exactly zero."""
    wrong = (abs(trial.compiled_run.weights) > 0) & ~trial.real_positions[None]
    if not wrong.any():
        return None
    index, where = locate_first("weights", wrong)
    return (
        f"{where}: {format_array(trial.compiled_run.weights[index])}, of a source of length {trial.lengths[index[1]]}"
    )


@law(applies=lambda trial: not trial.leaks, at=lines.mixing)
def padding_is_invisible(trial: Trial) -> str | None:
    """What stands in the padding changes no weight, context or gradient, and gets no gradient."""
    noise = 10 * np.random.default_rng(3).normal(size=trial.inputs.point.states.shape)
    states = np.where(trial.real_positions[..., None], trial.inputs.point.states, noise)
    actual = trial.run(trial.with_states(states))
    violation = compare_runs(actual, trial.compiled_run) or compare_gradients(
        actual.gradient, trial.compiled_run.gradient
    )
    leaked = actual.gradient.states * ~trial.real_positions[..., None]
    return violation or compare_arrays("gradient of the padding", leaked, 0 * leaked)


@law(applies=lambda trial: not trial.leaks, at=lines.length)
def padded_length_is_invisible(trial: Trial) -> str | None:
    """Longer padding changes no weight and no context."""
    states = np.pad(trial.inputs.point.states, ((0, 0), (0, 3), (0, 0)))
    actual = trial.run_eagerly(trial.with_states(states))
    violation = compare_arrays(
        "weights behind", actual.weights[..., trial.padded_length :], 0 * actual.weights[..., trial.padded_length :]
    )
    return violation or compare_runs(
        actual._replace(weights=actual.weights[..., : trial.padded_length]), trial.eager_run
    )


@law(applies=lambda trial: not trial.training)
def other_rows_are_invisible(trial: Trial) -> str | None:
    """A row of a batch finds the same in any order of the rows, and alone."""
    order = np.random.default_rng(4).permutation(len(trial.lengths))
    moved, middle = trial.run(trial.rows(order)), np.array([len(order) // 2])
    violation = compare_runs(moved, select_rows(trial.compiled_run, order))
    violation = violation or compare_gradients(moved.gradient.params, trial.compiled_run.gradient.params)
    return violation or compare_runs(trial.run_eagerly(trial.rows(middle)), select_rows(trial.eager_run, middle))
