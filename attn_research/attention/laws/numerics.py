"""Laws of numbers: NaN, gradients and bfloat16."""

import jax
import jax.numpy as jnp
import numpy as np

from attn_research.attention.laws import faults
from attn_research.attention.laws.law import law
from attn_research.attention.laws.results import EagerRun, Point, format_array, locate_first, path_name
from attn_research.attention.laws.trial import Trial

DIFFERENCE_STEP = 1e-5  # of the finite differences
GRADIENT_TOLERANCE = 1e-4  # relative, between finite differences and gradient
MIN_GRADIENT = 1e-8  # a smaller gradient is rounding
BFLOAT16_TOLERANCE = 0.1  # weight that a step may move in bfloat16, as the median of all steps


@law(locate=faults.find_nonfinite)
def everything_is_finite(trial: Trial) -> str | None:
    """Weights, contexts and gradients are finite, also for a source of one symbol and for an empty one."""
    arrays = {"weights": trial.compiled_run.weights, "contexts": trial.compiled_run.contexts}
    for path, leaf in jax.tree.leaves_with_path(trial.compiled_run.gradient):
        arrays[f"gradient of {path_name(path)}"] = leaf
    for label, array in arrays.items():
        if not np.isfinite(array).all():
            index, name = locate_first(label, ~np.isfinite(array))
            return f"{name}: {format_array(array[index])}"
    return None


@law(applies=lambda trial: all(bound.traits.exact_gradient for bound in trial.components.values()))
def gradients_are_finite_differences(trial: Trial) -> str | None:
    """In float64, the gradients of parameters, states and queries equal finite differences."""
    rng, point = np.random.default_rng(6), trial.inputs.point
    for part in Point._fields:
        direction = jax.tree.map(lambda x: rng.normal(size=x.shape), getattr(point, part))
        values = [_value_at(trial, part, direction, step) for step in (DIFFERENCE_STEP, -DIFFERENCE_STEP)]
        slope = (values[0] - values[1]) / (2 * DIFFERENCE_STEP)
        products = jax.tree.map(lambda g, w: (g * w).sum(), getattr(trial.compiled_run.gradient, part), direction)
        predicted = sum(jax.tree.leaves(products))
        if abs(predicted - slope) > GRADIENT_TOLERANCE * max(abs(slope), 0.1):
            return (
                f"along a random direction of the {part} the gradient is {predicted:.6g}, and the finite difference "
                f"{slope:.6g}"
            )
    return None


def _value_at(trial: Trial, part: str, direction: object, step: float) -> float:
    point = trial.inputs.point
    shifted = jax.tree.map(lambda x, w: x + step * w, getattr(point, part), direction)
    return float(trial.run(trial.inputs._replace(point=point._replace(**{part: shifted}))).value)


@law(one_trial_suffices=True)
def every_parameter_gets_a_gradient(trial: Trial) -> str | None:
    """Every parameter has an effect."""
    leaves = jax.tree.leaves_with_path(trial.compiled_run.gradient.params)
    zero = [path_name(path) for path, leaf in leaves if leaf.size and abs(leaf).max() < MIN_GRADIENT]
    return f"no gradient for {', '.join(zero)}" if zero else None


@law(applies=lambda trial: not trial.training)  # random numbers of another type are other numbers
def bfloat16_is_close(trial: Trial) -> str | None:
    """In bfloat16 the weights stay finite and close to those of float64; weights and history keep their types."""
    run, real = _run_in_bfloat16(trial), trial.lengths > 1
    if violation := _find_other_types(run):
        return violation
    weights = np.asarray(run.weights, np.float64)
    moved_weight = 0.5 * abs(weights - trial.eager_run.weights).sum(-1)[:, real]
    if moved_weight.size and not np.median(moved_weight) <= BFLOAT16_TOLERANCE:
        return f"half of the steps move more than {np.median(moved_weight):.2g} of their weight"
    return None


def _run_in_bfloat16(trial: Trial) -> EagerRun:
    with jax.enable_x64(False):
        point = jax.tree.map(lambda x: jnp.asarray(np.asarray(x, np.float32), jnp.bfloat16), trial.inputs.point)
        return trial.run_eagerly(trial.inputs._replace(point=point))


def _find_other_types(run: EagerRun) -> str | None:
    if run.weights.dtype != jnp.bfloat16:
        return f"weights are {run.weights.dtype}"
    pairs = zip(*map(jax.tree.leaves, run.histories), strict=True)
    for before, after in pairs:
        if (before.shape, before.dtype) != (after.shape, after.dtype):
            kinds = [f"{leaf.dtype} {list(leaf.shape)}" for leaf in (before, after)]
            return f"the history changes in a step, from {kinds[0]} to {kinds[1]}"
    return None
