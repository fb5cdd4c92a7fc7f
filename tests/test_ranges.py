"""Every number that a user can set has a range, which is checked before anything starts."""

import dataclasses
import math
import typing

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attn_research.annotations import Range, hyperparameters
from attn_research.attention.attention import Attention
from attn_research.attention.latent import latents
from attn_research.attention.normalizers import normalizers
from attn_research.attention.scores import scores
from attn_research.attention.windows import windows
from attn_research.config import Attention as Options
from attn_research.config import Config, Decode, field_types, override
from attn_research.data.task import tasks
from attn_research.decoding.penalties import penalties
from attn_research.errors import UserError
from attn_research.models.bridges import bridges
from attn_research.models.cells import cells
from attn_research.models.combinations import combinations
from attn_research.models.output_normalizers import output_normalizers
from attn_research.models.placements import placements
from attn_research.registry import Spec
from attn_research.training.auxiliary import auxiliaries
from attn_research.training.optimizers import optimizers, schedules

ATTENTION = {"score": scores, "normalizer": normalizers, "window": windows}
REGISTRIES = [
    *(scores, normalizers, windows, latents, cells, bridges, combinations, placements, output_normalizers),
    *(penalties, schedules, optimizers, auxiliaries, tasks),
]
EXTREME = (-1, 0, 2**31, 2**40, -1e39, 1e39, 1e-46, math.nan, math.inf)
FREE = {"fill"}  # any float32 is valid


def numbers_in(hint, ranges=()):
    """Yields the number types that an annotation allows, each with its ranges."""
    if typing.get_origin(hint) is typing.Annotated:
        yield from numbers_in(hint.__origin__, ranges + hint.__metadata__)
    elif hint in (int, float):
        yield hint, ranges
    elif typing.get_origin(hint) is not typing.Literal:
        for option in typing.get_args(hint):
            yield from numbers_in(option, ranges)


BUILT_IN = [
    (registry, name, one, kind, ranges)
    for registry in REGISTRIES
    for name, function in registry.functions.items()
    for one in hyperparameters(function)
    for kind, ranges in numbers_in(one.hint)
]
IDS = [f"{registry.kind} {name} {one.name}" for registry, name, one, _, _ in BUILT_IN]


@pytest.mark.parametrize(("registry", "name", "one", "kind", "ranges"), BUILT_IN, ids=IDS)
def test_every_hyperparameter_has_a_range_and_rejects_values_outside(registry, name, one, kind, ranges):
    assert any(isinstance(actual, Range) for actual in ranges) or one.name in FREE
    for value in EXTREME:
        try:
            bound = registry.bind(Spec(f"{name}({one.name}={value!r})"))
        except UserError as error:
            literal = math.isfinite(value)
            expected = f"{one.name} of {registry.kind} {name!r} is {value!r}" if literal else "is not a spec string"
            assert expected in str(error)
        else:
            assert type(bound.hyper[one.name]) is kind
            assert all(bound.hyper[one.name] in actual for actual in ranges)
            assert kind is int or abs(value) < 3.5e38


def at_the_ends(one, kind, ranges):
    """Returns the smallest and largest allowed float, or small allowed integers."""
    if kind is float:
        ends = [end for actual in ranges for end in (actual.minimum, actual.maximum) if end is not None]
        return ends or [-3e38, 3e38]
    return [value for value in (0, 1, 2) if all(value in actual for actual in ranges)]


WEIGHING = [
    (next(field for field, known in ATTENTION.items() if known is registry), name, one.name, value)
    for registry, name, one, kind, ranges in BUILT_IN
    if registry in ATTENTION.values()
    for value in at_the_ends(one, kind, ranges)
]


@pytest.mark.slow
@pytest.mark.parametrize(("field", "name", "option", "value"), WEIGHING)
def test_weights_are_finite_at_the_ends_of_every_range(field, name, option, value):
    states = jnp.asarray(np.random.default_rng(0).normal(size=(2, 5, 4)), jnp.float32)
    needed = ", project=True" if (name, option) in {("dot", "units"), ("scaled_dot", "units")} else ""
    module = Attention(Options(**({"score": Spec("dot")} | {field: Spec(f"{name}({option}={value!r}{needed})")})))
    arrays = states, jnp.array([5, 0]), states[:, 0], 4
    bound_attention = module.apply(module.init(jax.random.PRNGKey(0), *arrays), *arrays)
    context, weights, histories = bound_attention.step(states[:, 1], bound_attention.start)
    _, again, _ = bound_attention.step(states[:, 2], histories)
    assert weights.shape == again.shape == (2, 5)
    assert jnp.isfinite(context).all() and jnp.isfinite(weights).all() and jnp.isfinite(again).all()


FIELDS = [(name, kind, ranges) for name, hint in field_types(Config()).items() for kind, ranges in numbers_in(hint)]


@pytest.mark.parametrize(("name", "kind", "ranges"), FIELDS)
def test_every_config_field_has_a_range(name, kind, ranges):
    (allowed,) = ranges
    for value in EXTREME:
        try:
            config = override(Config(), {name: value})
        except UserError as error:
            assert str(error).startswith(f"config field {name!r} is {value!r}")
        else:
            assert value in allowed and hash(config)


def test_ranges_compare_in_float32():
    share = Range(minimum=0, below=1)
    assert 0.999 in share and 1 - 1e-9 not in share
    assert 1e-40 in Range(above=0) and 1e-46 not in Range(above=0)
    assert 0.1 in Range(minimum=0.1, maximum=0.1)
    assert str(Range(minimum=0, below=1)) == "at least 0 and below 1"


@pytest.mark.parametrize(("warmup", "steps"), [(0.99, 10), (0.5, 1), (0.9999, 100)])
@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_a_warmup_leaves_at_least_one_step(schedule, warmup, steps):
    bound = schedules.bind(Spec(f"{schedule}(warmup={warmup})"))
    if round(warmup * steps) < steps:
        assert bound(steps)(steps // 2) >= 0
    else:
        with pytest.raises(UserError, match="takes all of"):
            bound(steps)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Config(seed=2**32), "config field 'seed' of Config is 4294967296, but must be at least 0"),
        (lambda: Decode(beam=0), "config field 'beam' of Decode is 0, but must be at least 1"),
        (lambda: dataclasses.replace(Config().train, learning_rate=math.nan), "'learning_rate' of Train is nan"),
    ],
)
def test_a_config_built_in_python_is_checked(make, message):
    with pytest.raises(UserError, match=message):
        make()
