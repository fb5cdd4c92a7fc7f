"""All registered components obey the laws of attention, and each law detects components that break it.

A variant is compiled once for all its laws. New components are tested automatically, unless one of their options cannot
change alone.
"""

import dataclasses

import pytest

from attn_research.attention.attention import Attention
from attn_research.attention.laws import SMALLER_SIZES, Sizes, Trial, changed_specs, check, laws
from attn_research.attention.laws.trial import get_trial
from attn_research.attention.normalizers import normalizers
from attn_research.attention.scores import scores
from attn_research.attention.windows import windows
from attn_research.config import Attention as Config
from attn_research.registry import Spec
from attn_research.user_modules import load

REGISTRIES = {"score": scores, "normalizer": normalizers, "window": windows}
# Changes of options that need another option, or whose annotation does not give a valid value.
CHANGED = {
    "score dot units": "dot(project=True, units=4)",
    "score dot bias": 'dot(project=True, bias=True, activation="tanh")',
    "score dot activation": 'dot(project=True, activation="tanh")',
    "score scaled_dot units": "scaled_dot(project=True, units=4)",
    "score relative score": 'relative(score="concat")',
    "normalizer mocha score": 'mocha(score="general")',
    "normalizer milk score": 'milk(score="general")',
}
TOGETHER = {
    "two heads": Config(Spec("general"), heads=2),
    "two heads and a projection": Config(Spec("concat"), heads=2, split=False, output=5),
    "two positional heads": Config(Spec("location"), heads=2, values=4),
    "keys and values": Config(Spec("concat"), keys=3, values=4),
    "biases": Config(Spec("general"), values=4, output=5, bias="both"),
}
BASE = Config(Spec("general"))
# Laws that run steps outside the compiled program. They are slow and tested with default options only.
STEPWISE = [
    "history is declared", "compiling changes nothing", "seeds can be mapped over", "bfloat16 is close",
    "padded length is invisible", "other rows are invisible", "every option changes something",
]  # fmt: skip


def bind(kind: str, name: str):
    return REGISTRIES[kind].bind(Spec(name))


def built_in() -> list[str]:
    """Returns kind and name of all components that have weights."""
    pairs = [(kind, name) for kind, registry in REGISTRIES.items() for name in registry.functions]
    return [f"{kind} {name}" for kind, name in pairs if kind != "score" or bind(kind, name).traits.attends]


def options() -> list[str]:
    return [f"{variant} {option}" for variant in built_in() for option in bind(*variant.split()).hyper]


def broken(config: Config, smaller=(), exclude=()) -> dict[str, str]:
    """Returns {law: violation} of the laws that a variant breaks."""
    verdicts = check(config, smaller=smaller, exclude=exclude)
    return {verdict.law: verdict.violation for verdict in verdicts if verdict.passed is False}


@pytest.mark.parametrize("variant", built_in())
def test_every_variant_obeys_every_law(variant):
    kind, name = variant.split()
    assert not broken(dataclasses.replace(BASE, **{kind: Spec(name)}))


@pytest.mark.slow
@pytest.mark.parametrize("option", options())
def test_every_variant_obeys_the_laws_with_an_option_changed(option):
    assert not broken(with_changed(option), exclude=STEPWISE)


def with_changed(text: str) -> Config:
    """Returns the base with one option changed: as in CHANGED, else to the first valid value."""
    kind, name, option = text.split()
    tried = [Spec(CHANGED[text])] if text in CHANGED else changed_specs(bind(kind, name), Spec(name), option)
    configs = [dataclasses.replace(BASE, **{kind: spec}) for spec in tried]
    legal = [config for config in configs if is_legal(config)]
    assert legal, f"no other value of {text} is known to be legal; add one to CHANGED"
    return legal[0]


def is_legal(config: Config) -> bool:
    try:
        return Trial(config, Sizes(1, 3, 1)).rejection() is None
    except ValueError:
        return False


@pytest.mark.parametrize("together", TOGETHER)
def test_heads_and_projections_obey_every_law(together):
    assert not broken(TOGETHER[together])


BROKEN = {
    "max_over_padding": "padding is invisible",
    "centered_over_batch": "other rows are invisible",
    "scaled_by_padded_length": "padded length is invisible",
    "undeclared_coverage": "history is declared",
    "silent_coverage": "history is declared",
    "undeclared_memory": "all steps at once are step by step",
    "memory_of_the_batch": "history is carried",
    "counts_its_calls": "compiling changes nothing",
    "stops_the_gradient": "gradients are finite differences",
    "not_differentiable": "it runs",
    "nan_on_padding": "everything is finite",
    "inert_option": "every option changes something",
    "inert_parameter": "every parameter gets a gradient",
    "adds_positions": "permuting the source permutes the weights",
    "claims_positions": "permuting the source changes more",
    "loses_precision": "bfloat16 is close",
}
BROKEN_NORMALIZERS = {
    "unnormalized": "mass is held",
    "leaks": "padding has no weight",
    "negative": "weights are not negative",
    "depends_on_vmap": "seeds can be mapped over",
}


@pytest.mark.parametrize("name", BROKEN | BROKEN_NORMALIZERS)
def test_each_law_detects_its_broken_component(name):
    kind, law = "score" if name in BROKEN else "normalizer", (BROKEN | BROKEN_NORMALIZERS)[name]
    others = [other for other in laws if other != law and not laws[other].required]
    actual = broken(dataclasses.replace(BASE, **{kind: Spec(f"broken_components:{name}")}), exclude=others)
    assert law in actual
    assert all(actual.values())


def test_every_law_has_a_broken_component():
    assert set(laws) == set((BROKEN | BROKEN_NORMALIZERS).values())


def test_the_smallest_case_is_reported():
    case = broken(Config(Spec("broken_components:adds_positions")), SMALLER_SIZES)[
        "permuting the source permutes the weights"
    ]
    assert (
        "broken_components.py:" in case
        and ", adds_positions: 1 row, 2 source symbols, 1 step: weights of step 0" in case
    )


@pytest.mark.parametrize("name", ["general", "broken_components:sharp", "broken_components:noisy"])
def test_users_components_obey_every_law(name):
    kind = "normalizer" if ":" in name else "score"
    assert not broken(dataclasses.replace(BASE, **{kind: Spec(name)}, window=Spec("broken_components:first_positions")))


def test_a_random_component_is_also_tested_in_training():
    def scale_alone(trait):
        load("broken_components").noisy.traits = {"random": trait}
        get_trial.cache_clear()
        return "every option changes something" in broken(dataclasses.replace(BASE, normalizer=noisy))

    noisy = Spec("broken_components:noisy")
    try:
        assert scale_alone(False)
    finally:
        load("broken_components").noisy.traits = {"random": True}
    assert not scale_alone(True)


def test_attention_lists_its_components():
    components = Attention(
        dataclasses.replace(BASE, window=Spec("broken_components:first_positions(size=3)"))
    ).components()
    assert [component.function.__name__ for component in components.values()] == [
        "general",
        "softmax",
        "first_positions",
    ]
