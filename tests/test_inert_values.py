"""No value of an option switches it or its component off: such a zero is an error."""

import pytest

from attn_research.errors import UserError
from attn_research.registry import Spec
from attn_research.reports.variants import REGISTRIES
from attn_research.training.optimizers import optimizers, schedules

# Options whose zero has a meaning: a position, a distance, a logit, a share, or a default that means "none".
ZEROS = {
    "score": {"location_aware reach", "location_2d reach", "location_recurrent reach"},
    "normalizer": {
        "filled_softmax fill", "sink logit",
        *(f"{name} {option}" for name in ("monotonic", "mocha", "milk") for option in ("noise", "offset")),
    },
    "window": {"local_m D", "around_last back"},
    "latent attention": {"monotone leak", "hmm leak"},
    "optimizer": {"adam b1", "adam b2", "adadelta rho", "sgd momentum"},
    "sampling": {"sample seed"},
    "schedule": {"linear warmup", "cosine warmup", "cosine final", "halving begin"},
}  # fmt: skip
EVERY = [*REGISTRIES.values(), optimizers, schedules]


def accepted(registry, name, option, value):
    try:
        return registry.bind(Spec(f"{name}({option}={value!r})")).hyper[option] == value
    except UserError:
        return False


@pytest.mark.parametrize("registry", EVERY, ids=lambda registry: registry.kind)
def test_a_zero_without_a_meaning_is_rejected(registry):
    options = [(name, option) for name in registry.functions for option in registry.bind(Spec(name)).hyper]
    zeros = {" ".join(pair) for pair in options if any(accepted(registry, *pair, zero) for zero in (0, 0.0))}
    assert zeros == ZEROS.get(registry.kind, set())


@pytest.mark.parametrize(
    ("kind", "spec", "sentence"),
    [
        ("model.attention.score", "scaled_dot(scale=0.0)", "scale of score 'scaled_dot' is 0.0, but must be at least"),
        ("model.attention.score", "relative(reach=0)", "reach of score 'relative' is 0, but must be at least 1"),
        ("model.attention.normalizer", "mocha(width=1)", "width of normalizer 'mocha' is 1, but must be at least 2"),
        ("decode.length_penalty", "wu(alpha=0.0)", "alpha of length penalty 'wu' is 0.0, but must be above 0"),
    ],
)
def test_a_value_without_effect_is_rejected(kind, spec, sentence):
    with pytest.raises(UserError, match=sentence):
        REGISTRIES[kind].bind(Spec(spec))
