"""The law that every option changes something, and the other values of an option that it tries."""

import types
import typing
from typing import Any

import jax
import numpy as np

from attn_research.annotations import Range, hyperparameters
from attn_research.attention.laws.law import law
from attn_research.attention.laws.results import compare_gradients, compare_runs
from attn_research.attention.laws.trial import Trial
from attn_research.registry import Bound, Spec


@law(applies=lambda trial: not trial.training, one_trial_suffices=True)
def every_option_changes_something(trial: Trial) -> str | None:
    """Another value of an option gives other parameters, weights, contexts or gradients, in training or outside."""
    for component, bound in trial.components.items():
        for option in bound.hyper:
            values = find_inert_values(trial, component, option)
            if values and not _has_effect_in_training(trial, component, option):
                spec = str(getattr(trial.config, component))
                return f"{option} of {component} {spec!r} changes nothing: tried {values}"
    return None


def _has_effect_in_training(trial: Trial, component: str, option: str) -> bool:
    return trial.any_trait("random") and not find_inert_values(trial.in_training(), component, option)


def find_inert_values(trial: Trial, component: str, option: str) -> list[Any]:
    """Returns the other values of an option that change nothing; empty as soon as one value changes something."""
    spec, inert_values = getattr(trial.config, component), []
    for other in changed_specs(trial.components[component], spec, option):
        if (same := _is_same(trial, trial.replace(**{component: other}))) is False:
            return []
        if same:
            inert_values.append(Spec(other).hyper[option])
    return inert_values


def _is_same(trial: Trial, other: Trial) -> bool | None:
    """Whether two variants give the same results and gradients; None if the other one is rejected."""
    if other.rejection():
        return None
    shapes = [jax.tree.map(np.shape, one.params) for one in (trial, other)]
    if shapes[0] != shapes[1] or compare_runs(other.eager_run, trial.eager_run):
        return False
    return not compare_gradients(other.compiled_run.gradient, trial.compiled_run.gradient)


def changed_specs(bound: Bound, spec: Spec, option: str) -> list[Spec]:
    """Returns `spec` with other values of one option, the default first."""
    function, value = bound.function, bound.hyper[option]
    _, default, hint = next(one for one in hyperparameters(function) if one.name == option)
    values = ([default] if default != value else []) + other_values(hint, value)
    return [_with_option(spec, option, other) for other in values]


def _with_option(spec: Spec, option: str, value: Any) -> Spec:
    hyper = ", ".join(f"{key}={other!r}" for key, other in (spec.hyper | {option: value}).items())
    return Spec(f"{spec.module}:{spec.name}({hyper})".removeprefix(":"))


def other_values(hint: Any, value: Any) -> list:
    """Returns other values that an annotation allows. The variant may reject them."""
    if typing.get_origin(hint) is typing.Annotated:
        ranges = [one for one in hint.__metadata__ if isinstance(one, Range)]
        return [other for other in other_values(hint.__origin__, value) if all(other in one for one in ranges)]
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        kinds = [kind for kind in typing.get_args(hint) if kind is not type(None)]
        return ([] if value is None else [None]) + [other for kind in kinds for other in other_values(kind, value)]
    if typing.get_origin(hint) is typing.Literal:
        return [other for other in typing.get_args(hint) if other != value]
    values: dict[Any, list] = {bool: [not value], int: _integers(value), float: _floats(value)}
    return values.get(hint, [])


def _integers(value: Any) -> list[int]:
    return [3, 2, 4] if not isinstance(value, int) else [2 * value, 2 * value + 1, value + 1, value - 1]


def _floats(value: Any) -> list[float]:
    if not isinstance(value, int | float) or not value:
        return [0.5, 2.0, 1.5]
    return [2.0 * value, value / 2, value + 0.1, 1.0]
