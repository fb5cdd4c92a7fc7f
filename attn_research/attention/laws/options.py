"""Other values of a variant's options, and whether they change anything."""

import types
import typing
from typing import Any

import jax
import numpy as np

from attn_research.annotations import Range, hyperparameters
from attn_research.attention.laws.compare import other_gradient, unlike
from attn_research.attention.laws.trial import Trial
from attn_research.registry import Bound, Spec


def candidates(hint: Any, value: Any) -> list:
    """Other values that an annotation allows, whether or not the variant does."""
    if typing.get_origin(hint) is typing.Annotated:
        ranges = [one for one in hint.__metadata__ if isinstance(one, Range)]
        return [other for other in candidates(hint.__origin__, value) if all(other in one for one in ranges)]
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        kinds = [kind for kind in typing.get_args(hint) if kind is not type(None)]
        return ([] if value is None else [None]) + [other for kind in kinds for other in candidates(kind, value)]
    if typing.get_origin(hint) is typing.Literal:
        return [other for other in typing.get_args(hint) if other != value]
    return {bool: [not value], int: _integers(value), float: _floats(value)}.get(hint, [])


def _integers(value: Any) -> list[int]:
    return [3, 2, 4] if not isinstance(value, int) else [2 * value, 2 * value + 1, value + 1, value - 1]


def _floats(value: Any) -> list[float]:
    if not isinstance(value, int | float) or not value:
        return [0.5, 2.0, 1.5]
    return [2.0 * value, value / 2, value + 0.1, 1.0]


def changed(bound: Bound, spec: Spec, option: str) -> list[Spec]:
    """`spec` with another value of one option; its default first, if it has another."""
    function, value = bound.function, bound.hyper[option]
    _, default, hint = next(one for one in hyperparameters(function) if one.name == option)
    values = ([default] if default != value else []) + candidates(hint, value)
    return [_respelled(spec, option, other) for other in values]


def _respelled(spec: Spec, option: str, value: Any) -> Spec:
    hyper = ", ".join(f"{key}={other!r}" for key, other in (spec.hyper | {option: value}).items())
    return Spec(f"{spec.module}:{spec.name}({hyper})".removeprefix(":"))


def inert(trial: Trial, piece: str, option: str) -> list[Any]:
    """The other values of an option that were tried, if none of them changes anything."""
    spec, tried = getattr(trial.config, piece), []
    for other in changed(trial.pieces[piece], spec, option):
        if (same := _same(trial, trial.other(**{piece: other}))) is False:
            return []
        if same:
            tried.append(Spec(other).hyper[option])
    return tried


def _same(trial: Trial, other: Trial) -> bool | None:
    """Whether two variants find the same, gradients included; None if the other is refused."""
    if other.refusal():
        return None
    shapes = [jax.tree.map(np.shape, one.params) for one in (trial, other)]
    if shapes[0] != shapes[1] or unlike(other.walked, trial.walked):
        return False
    return not other_gradient(other.outcome.gradient, trial.outcome.gradient)
