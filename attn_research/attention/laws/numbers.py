"""Laws of numbers: gradients, precision, options, and how a program is run."""

import jax
import jax.numpy as jnp
import numpy as np

from attn_research.attention.laws import lines
from attn_research.attention.laws.compare import first, named, shown, unlike
from attn_research.attention.laws.law import law
from attn_research.attention.laws.options import inert
from attn_research.attention.laws.trial import Point, Trial, Walk

STEP = 1e-5  # of the finite differences
SLACK = 1e-4  # between them and the gradient
LEAST = 1e-8  # below it a gradient is nothing but rounding
NARROW = 0.1  # how much of its weight a step may move in bfloat16, as the median of all steps


@law(at=lines.not_finite)
def everything_is_finite(trial: Trial) -> str | None:
    """Weights, contexts and gradients are numbers, also for a source of one symbol and for none."""
    found = {"weights": trial.outcome.weights, "contexts": trial.outcome.contexts}
    for path, leaf in jax.tree.leaves_with_path(trial.outcome.gradient):
        found[f"gradient of {named(path)}"] = leaf
    for what, array in found.items():
        if not np.isfinite(array).all():
            index, where = first(what, ~np.isfinite(array))
            return f"{where}: {shown(array[index])}"
    return None


@law(applies=lambda trial: all(bound.traits.exact_gradient for bound in trial.pieces.values()))
def gradients_are_finite_differences(trial: Trial) -> str | None:
    """In float64 the gradient for parameters, states and queries is what a small step changes."""
    rng, point = np.random.default_rng(6), trial.inputs.point
    for part in Point._fields:
        way = jax.tree.map(lambda x: rng.normal(size=x.shape), getattr(point, part))
        ends = [_moved(trial, part, way, step) for step in (STEP, -STEP)]
        slope = (ends[0] - ends[1]) / (2 * STEP)
        products = jax.tree.map(lambda g, w: (g * w).sum(), getattr(trial.outcome.gradient, part), way)
        along = sum(jax.tree.leaves(products))
        if abs(along - slope) > SLACK * max(abs(slope), 0.1):
            return f"along a random direction of the {part} the gradient says {along:.6g}, a small step {slope:.6g}"
    return None


def _moved(trial: Trial, part: str, way: object, step: float) -> float:
    point = trial.inputs.point
    moved = jax.tree.map(lambda x, w: x + step * w, getattr(point, part), way)
    return float(trial.run(trial.inputs._replace(point=point._replace(**{part: moved}))).value)


@law(somewhere=True)
def every_parameter_gets_a_gradient(trial: Trial) -> str | None:
    """No parameter is without effect."""
    leaves = jax.tree.leaves_with_path(trial.outcome.gradient.params)
    zero = [named(path) for path, leaf in leaves if leaf.size and abs(leaf).max() < LEAST]
    return f"no gradient for {', '.join(zero)}" if zero else None


@law(applies=lambda trial: not trial.training, somewhere=True)
def every_option_changes_something(trial: Trial) -> str | None:
    """Another value of an option gives other parameters, weights, contexts or gradients, in training or outside."""
    random = trial.any_trait("random")
    for name, bound in trial.pieces.items():
        for option in bound.hyper:
            values = inert(trial, name, option)
            if values and not (random and not inert(trial.in_training(), name, option)):
                return f"{option} of {name} {str(getattr(trial.config, name))!r} changes nothing: tried {values}"
    return None


@law
def compiling_changes_nothing(trial: Trial) -> str | None:
    """Operation by operation, outside of jit and scan, the steps find the same."""
    return unlike(trial.walked, trial.outcome)


@law
def seeds_can_be_mapped_over(trial: Trial) -> str | None:
    """vmap over two sets of parameters, states and queries finds what each finds alone."""
    other = trial.inputs._replace(point=jax.tree.map(lambda x: 0.5 * x, trial.inputs.point))
    stacked = jax.tree.map(lambda *x: jnp.stack(x), trial.inputs.point, other.point)
    both = jax.vmap(lambda point: trial.walk(other._replace(point=point))[:2])(stacked)
    alone = trial.walked, trial.walk(other)
    cases = (unlike(Walk(both[0][seed], both[1][seed], None), walk) for seed, walk in enumerate(alone))
    return next(filter(None, cases), None)


@law(applies=lambda trial: not trial.training)  # other types draw other random numbers
def bfloat16_is_close(trial: Trial) -> str | None:
    """In bfloat16 the weights stay near and finite, and weights and history keep their types."""
    walk, real = _narrow(trial), trial.lengths > 1
    if case := _other_types(walk):
        return case
    narrow = np.asarray(walk.weights, np.float64)
    far = 0.5 * abs(narrow - trial.walked.weights).sum(-1)[:, real]
    if far.size and not np.median(far) <= NARROW:
        return f"half of the steps move more than {np.median(far):.2g} of their weight"
    return None


def _narrow(trial: Trial) -> Walk:
    with jax.enable_x64(False):
        point = jax.tree.map(lambda x: jnp.asarray(np.asarray(x, np.float32), jnp.bfloat16), trial.inputs.point)
        return trial.walk(trial.inputs._replace(point=point))


def _other_types(walk: Walk) -> str | None:
    if walk.weights.dtype != jnp.bfloat16:
        return f"weights are {walk.weights.dtype}"
    pairs = zip(*map(jax.tree.leaves, walk.histories), strict=True)
    for before, after in pairs:
        if (before.shape, before.dtype) != (after.shape, after.dtype):
            kinds = [f"{leaf.dtype} {list(leaf.shape)}" for leaf in (before, after)]
            return f"the history changes in a step, from {kinds[0]} to {kinds[1]}"
    return None
