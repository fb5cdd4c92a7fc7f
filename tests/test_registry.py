import keyword
import math
import sys
from typing import Literal

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from attn_research.annotations import conform
from attn_research.config import Config, override, with_spec
from attn_research.registry import Registry, Spec, entry_points, nearest
from attn_research.runs.records import user_code
from attn_research.variants import REGISTRIES, fingerprint, is_installed, registry, source

NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True).filter(lambda name: not keyword.iskeyword(name))
LITERALS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)
ALMOST = st.text(alphabet="ab1.:=,()[]{}*'\"\\ \n-", max_size=30)


def spell(name, hyper, module="", blank=""):
    inside = f",{blank}".join(f"{blank}{key}{blank}={blank}{value!r}" for key, value in hyper.items())
    return (f"{module}:" if module else "") + f"{name}({blank}{inside}{blank})"


@given(st.text() | ALMOST)
@example("a(**1)")
@example("a(x=1, **{})")
@example("a(" * 10_000)
@example("-" * 100_000 + "1")
@example("a(x=" + "9" * 10_000 + ")")
@example("a(x=1, x=2)")
@example("\0")
@example("a(x='\\ud800')")
def test_no_text_crashes_a_spec(text):
    try:
        spec = Spec(text)
    except ValueError as error:
        assert "\n" not in str(error)
        assert "concat(units=64)" in str(error)
    else:
        assert Spec(spec) == spec


@given(NAMES, st.dictionaries(NAMES, LITERALS, max_size=3), st.sampled_from(["", "my.module", "a b/my scores.py"]))
def test_the_normal_form_is_a_fixed_point_and_keeps_all_values(name, hyper, module):
    spec = Spec(spell(name, hyper, module, blank=" "))
    assert spec == Spec(spec) == Spec(spell(name, dict(reversed(hyper.items())), module))
    assert (spec.module, spec.name, spec.hyper) == (module, name, hyper)


@pytest.mark.parametrize(
    "text", ["", "a b", "a(64)", "a(*[1])", "a(x=y)", "a.b", "a(x=1)(y=2)", "3", "a; b", "a(x={1})"]
)
def test_other_expressions_are_rejected(text):
    with pytest.raises(ValueError, match="is not a spec string"):
        Spec(text)


@given(st.text(max_size=10), st.sets(st.text(max_size=10)))
def test_nearest_lists_all_known_names(name, known):
    assert all(word in nearest(name, known) for word in known)


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers()))
def test_conform_returns_the_type_or_raises_one_sentence(value):
    for hint, kind in ((int, int), (float, float), (str, str), (bool, bool), (int | None, int | None), (Spec, Spec)):
        try:
            assert isinstance(conform(value, hint, "field"), kind)
        except ValueError as error:
            assert str(error).startswith("field")


def test_conform_distinguishes_types():
    assert type(conform(1, float, "x")) is float
    assert conform("b", Literal["a", "b"], "x") == "b"
    for value, hint in (
        (True, int),
        (True, float),
        (1.0, int),
        (math.inf, float),
        (math.nan, float),
        ("c", Literal["a"]),
    ):
        with pytest.raises(ValueError, match="x is"):
            conform(value, hint, "x")


@pytest.fixture
def scores():
    registry = Registry("score", remembers=False)

    def dot(param, keys):
        return param, keys

    def coverage(param, keys, units: int = 64, scale: float = 1.0):
        return units, scale

    for function, traits in ((dot, {}), (coverage, {"remembers": True})):
        mark_built_in(function)
        registry.register(function, **traits)
    return registry


def mark_built_in(function):
    """Makes a function look like one of this package."""
    function.__module__ = "attn_research.attention.scores"


def test_a_bound_variant_has_its_defaults_and_traits(scores):
    bound = scores.bind(Spec("coverage(scale=2)"))
    assert bound.hyper == {"units": 64, "scale": 2.0}
    assert bound.traits.remembers
    assert bound(None, None) == (64, 2.0)
    assert not scores.bind(Spec("dot")).traits.remembers


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dto", "unknown score 'dto'; known: coverage, dot; did you mean dot?"),
        ("coverage(unit=3)", "score 'coverage' has no hyperparameter 'unit'; known: scale, units; did you mean units?"),
        ("dot(units=3)", "score 'dot' has no hyperparameter 'units'; known: none"),
        ("coverage(units=1.5)", "units of score 'coverage' is 1.5, but must be of type int"),
        ("coverage(param=3)", "score 'coverage' has no hyperparameter 'param'; known: scale, units"),
    ],
)
def test_errors_list_known_names(scores, text, message):
    with pytest.raises(ValueError) as caught:
        scores.bind(Spec(text))
    assert str(caught.value) == message


@given(NAMES)
def test_an_unknown_name_is_reported_with_known_names(name):
    registry = Registry("score")
    registry.functions["nearest"] = nearest
    assume(name != "nearest")
    with pytest.raises(ValueError, match="known: nearest"):
        registry.bind(Spec(name))


def test_a_name_registers_once(scores):
    def dot():
        """Has the same name."""

    mark_built_in(dot)
    with pytest.raises(ValueError, match="there is a score named 'dot' already"):
        scores.register(dot)
    with pytest.raises(ValueError, match="there is a score named 'coverage' already"):
        scores.register(scores.functions["coverage"])


def test_registering_a_users_function_only_declares_its_traits(scores):
    def dot(param, keys): ...

    scores.register(dot, remembers=True)
    assert dot.traits == {"remembers": True}
    assert scores.functions["dot"] is not dot
    assert not scores.bind(Spec("dot")).traits.remembers


def test_an_unknown_trait_is_reported_with_the_nearest(scores):
    with pytest.raises(ValueError, match="has no trait 'remember'; known: remembers; did you mean remembers"):
        scores.register(remember=True)(lambda param, keys: None)


def test_a_users_file_binds_by_path_and_by_module(scores, tmp_path, monkeypatch):
    file = tmp_path / "my_scores.py"
    file.write_text("def cosine(param, keys, scale: float = 1.0):\n    return scale\n")
    monkeypatch.chdir(tmp_path)
    spec = Spec("my_scores.py:cosine(scale=3)")
    assert scores.bind(spec)(None, None) == 3.0
    assert scores.bind(Spec(f"{file}:cosine"))(None, None) == 1.0
    assert scores.bind(Spec("my_scores:cosine"))(None, None) == 1.0
    assert fingerprint(spec, "score") == fingerprint(Spec("my_scores:cosine"), "score")
    assert fingerprint(Spec("dot"), "score") is None
    sys.modules.pop("my_scores", None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not_there.py:cosine", "cannot import 'not_there.py': FileNotFoundError"),
        ("not_there:cosine", "cannot import 'not_there': ModuleNotFoundError"),
        ("broken.py:cosine", "broken.py:1: in `nothing`, the name 'nothing' is not defined"),
        ("mine.py:cosin", "no function 'cosin' in mine.py; known: cosine; did you mean cosine?"),
    ],
)
def test_an_invalid_users_file_is_reported(scores, tmp_path, monkeypatch, text, message):
    (tmp_path / "broken.py").write_text("nothing\n")
    (tmp_path / "mine.py").write_text("def cosine(param, keys): ...\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        scores.bind(Spec(text))


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package with two entry points: a score, and one that cannot be loaded."""
    (tmp_path / "their_scores.py").write_text("def angular(param, keys, scale: float = 1.0):\n    return scale\n")
    (tmp_path / "their_scores-1.0.dist-info").mkdir()
    points = (
        "[attn_research.scores]\nangular = their_scores:angular\ngone = their_scores:gone\ndot = their_scores:angular\n"
    )
    points += "[attn_research.latents]\nsoft = their_scores:angular\n"
    points += "[attn_research.length_penalties]\nlong = their_scores:angular\n"
    (tmp_path / "their_scores-1.0.dist-info" / "entry_points.txt").write_text(points)
    (tmp_path / "their_scores-1.0.dist-info" / "METADATA").write_text("Name: their-scores\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    entry_points.cache_clear()
    yield tmp_path / "their_scores.py"
    entry_points.cache_clear()
    sys.modules.pop("their_scores", None)


def test_a_score_of_an_installed_package_binds(scores, package):
    with pytest.raises(
        ValueError, match="unknown score 'angulr'; known: angular, coverage, dot, gone; did you mean ang"
    ):
        scores.bind(Spec("angulr"))
    assert "their_scores" not in sys.modules
    assert scores.bind(Spec("angular(scale=3)"))(None, None) == 3.0
    with pytest.raises(ValueError, match="cannot load 'gone' from 'their_scores:gone': AttributeError"):
        scores.bind(Spec("gone"))
    with pytest.raises(ValueError, match="unknown cell 'angular'"):
        Registry("cell").bind(Spec("angular"))


def test_the_file_of_an_installed_package_is_hashed(package):
    config = override(Config(), {"model.attention.score": "angular"})
    before = user_code(config)
    package.write_text(package.read_text() + "\n")
    assert before.keys() == user_code(config).keys() == {"angular"}
    assert before != user_code(config)
    assert user_code(Config()) == {}


def test_a_built_in_variant_has_no_files_though_a_package_has_one_of_its_name(package):
    assert registry("score").bind(Spec("dot")).function.__module__.startswith("attn_research.")
    assert not is_installed(Spec("dot"), "model.attention.score")
    assert source(Spec("dot"), "model.attention.score") is None
    assert fingerprint(Spec("dot"), "model.attention.score") is None
    assert fingerprint(Spec("angular"), "model.attention.score") is not None


@pytest.mark.parametrize(("name", "text"), [("model.attention.latent", "soft"), ("decode.length_penalty", "long")])
def test_an_installed_variant_of_every_field_is_found_by_all(package, name, text):
    assert registry(name).bind(Spec(text)).hyper == {"scale": 1.0}
    assert source(Spec(text), name).main.path == package
    assert user_code(with_spec(Config(), name, Spec(text))).keys() == {text}


def test_every_registry_looks_up_the_entry_points_of_its_field():
    assert {field: registry(field).field for field in REGISTRIES} == {field: field for field in REGISTRIES}
