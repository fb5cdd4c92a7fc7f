"""Laws of the weights of one step."""

import numpy as np

from attn_research.attention.laws import lines
from attn_research.attention.laws.compare import TOLERANCE, first, other_gradient, rows_of, shown, unequal, unlike
from attn_research.attention.laws.law import law
from attn_research.attention.laws.trial import Trial


@law
def weights_are_not_negative(trial: Trial) -> str | None:
    """No weight is below zero."""
    weights = trial.outcome.weights
    return unequal("weights", weights, np.maximum(weights, 0))


@law(applies=lambda trial: not trial.leaks)
def mass_is_held(trial: Trial) -> str | None:
    """The weights of a step sum to what is declared as mass, one or at most one; without a source to zero."""
    sums = trial.outcome.weights.sum(-1)
    inside = sums > 0 if "window" in trial.pieces else np.ones_like(sums)  # a window may show nothing
    expected = inside * (trial.lengths > 0)
    wrong = sums > expected + TOLERANCE if trial.mass == "at most one" else abs(sums - expected) > TOLERANCE
    if not wrong.any():
        return None
    t, b = (int(i) for i in np.argwhere(wrong)[0])
    return f"the weights of step {t}, row {b} sum to {sums[t, b]:.4g}, but the mass is declared as {trial.mass!r}"


@law(applies=lambda trial: not trial.leaks)
def padding_has_no_weight(trial: Trial) -> str | None:
    """Weights of padding are exactly zero."""
    wrong = (abs(trial.outcome.weights) > 0) & ~trial.real[None]
    if not wrong.any():
        return None
    index, where = first("weights", wrong)
    return f"{where}: {shown(trial.outcome.weights[index])}, of a source of length {trial.lengths[index[1]]}"


@law(applies=lambda trial: not trial.leaks, at=lines.mixing)
def padding_is_invisible(trial: Trial) -> str | None:
    """What stands in the padding changes no weight, context or gradient, and gets no gradient."""
    noise = 10 * np.random.default_rng(3).normal(size=trial.inputs.point.states.shape)
    states = np.where(trial.real[..., None], trial.inputs.point.states, noise)
    found = trial.run(trial.with_states(states))
    case = unlike(found, trial.outcome) or other_gradient(found.gradient, trial.outcome.gradient)
    leaked = found.gradient.states * ~trial.real[..., None]
    return case or unequal("gradient of the padding", leaked, 0 * leaked)


@law(applies=lambda trial: not trial.leaks, at=lines.length)
def padded_length_is_invisible(trial: Trial) -> str | None:
    """Longer padding changes no weight and no context."""
    states = np.pad(trial.inputs.point.states, ((0, 0), (0, 3), (0, 0)))
    found = trial.walk(trial.with_states(states))
    case = unequal("weights behind", found.weights[..., trial.padded :], 0 * found.weights[..., trial.padded :])
    return case or unlike(found._replace(weights=found.weights[..., : trial.padded]), trial.walked)


@law(applies=lambda trial: not trial.training)
def other_rows_are_invisible(trial: Trial) -> str | None:
    """A row of a batch finds the same in any order of the rows, and alone."""
    order = np.random.default_rng(4).permutation(len(trial.lengths))
    moved, middle = trial.run(trial.rows(order)), np.array([len(order) // 2])
    case = unlike(moved, rows_of(trial.outcome, order))
    case = case or other_gradient(moved.gradient.params, trial.outcome.gradient.params)
    return case or unlike(trial.walk(trial.rows(middle)), rows_of(trial.walked, middle))
