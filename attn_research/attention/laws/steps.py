"""Laws of several steps: the history, all steps at once, jit and vmap."""

import jax
import jax.numpy as jnp
import numpy as np

from attn_research.attention.laws.law import format_error, law
from attn_research.attention.laws.results import CompiledRun, EagerRun, compare_runs, select_rows
from attn_research.attention.laws.trial import AttentionWithHistory, Inputs, Trial


@law(applies=lambda trial: not trial.any_trait("remembers"), required=True)
def history_is_declared(trial: Trial) -> str | None:
    """A variant that reads the weights of earlier steps declares it, with remembers=True."""
    try:
        with_history = trial.run_eagerly(trial.inputs, AttentionWithHistory)
    except Exception:
        return None  # the law `it runs` reports the exception
    try:
        return compare_runs(trial.eager_run, with_history)
    except Exception as error:
        return f"{format_error(error)}; with remembers=True it runs"


@law(required=True)
def it_runs(trial: Trial) -> str | None:
    """The steps can be computed, compiled and differentiated; weights are [b s]."""
    shape, expected = trial.compiled_run.weights.shape[1:], (len(trial.lengths), trial.padded_length)
    return None if shape == expected else f"the weights of a step are {list(shape)} instead of {list(expected)}"


@law(applies=lambda trial: not trial.any_trait("remembers"))
def all_steps_at_once_are_step_by_step(trial: Trial) -> str | None:
    """A variant without history gives the same results for all steps at once as step by step."""
    contexts, weights = trial.compiled_run.all_steps
    return compare_runs(EagerRun(contexts, weights, None), trial.compiled_run)


@law(applies=lambda trial: not trial.training)
def history_is_carried(trial: Trial) -> str | None:
    """Two hypotheses that swap rows midway, with their histories, continue as each does alone."""
    for leaf in jax.tree.leaves([head.memory for head in trial.eager_run.histories[0]]):
        if leaf.shape[:1] != trial.lengths.shape:
            return f"a memory of shape {list(leaf.shape)} has no batch axis in front"
    half, swap = trial.sizes.steps // 2, np.arange(len(trial.lengths))
    swap[:2] = swap[:2][::-1]
    point, lengths, order = trial.inputs
    queries, order = point.queries.copy(), order.copy()
    queries[half:], order[half] = queries[half:, swap], swap
    actual = trial.run(Inputs(point._replace(queries=queries), lengths, order))
    alone = select_rows(trial.compiled_run, swap)
    return compare_runs(_steps_from(half, actual), _steps_from(half, alone))


def _steps_from(first: int, run: CompiledRun | EagerRun) -> EagerRun:
    return EagerRun(run.contexts[first:], run.weights[first:], None)


@law
def compiling_changes_nothing(trial: Trial) -> str | None:
    """The steps give the same results operation by operation, outside of jit and scan."""
    return compare_runs(trial.eager_run, trial.compiled_run)


@law
def seeds_can_be_mapped_over(trial: Trial) -> str | None:
    """vmap over two sets of parameters, states and queries gives the results of each set alone."""
    other = trial.inputs._replace(point=jax.tree.map(lambda x: 0.5 * x, trial.inputs.point))
    stacked = jax.tree.map(lambda *x: jnp.stack(x), trial.inputs.point, other.point)
    both = jax.vmap(lambda point: trial.run_eagerly(other._replace(point=point))[:2])(stacked)
    alone = trial.eager_run, trial.run_eagerly(other)
    violations = (compare_runs(EagerRun(both[0][seed], both[1][seed], None), run) for seed, run in enumerate(alone))
    return next(filter(None, violations), None)
