"""Annotations of hyperparameters, and the messages about values or defaults that do not fit them."""

# ruff: noqa: UP007, UP045 - users write the older forms too

import collections.abc
from typing import Annotated, Any, Literal, NewType, Optional, Union

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attn_research.annotations import Range, conform, describe
from attn_research.errors import UserError
from attn_research.registry import Registry, Spec

Units = NewType("Units", int)
FITS = [
    (Optional[int], 3, 3),
    (Optional[int], None, None),
    (int | None, 3, 3),
    (float | None, 3, 3.0),
    (Union[int, float], 2.0, 2.0),
    (int | float, 2, 2),
    (float | int, 2, 2),
    (float | str, 2, 2.0),
    (str | list[int], [1, 2], [1, 2]),
    (int | list[float], [1, 2.5], [1.0, 2.5]),
    (bool | int, True, True),
    (Literal[False, True, "both"], True, True),
    (Literal["a", "b"] | None, "b", "b"),
    (list, [1, "a"], [1, "a"]),
    (list[int], (3, 4), [3, 4]),
    (list[list[int]], [[1], []], [[1], []]),
    (tuple, [3, 4], (3, 4)),
    (tuple[int, ...], [3, 4, 5], (3, 4, 5)),
    (tuple[int, str], [3, "a"], (3, "a")),
    (collections.abc.Sequence[float], [1, 2], (1.0, 2.0)),
    (collections.abc.Sequence, [1, 2], (1, 2)),
    (Any, (1, (2, 3)), [1, [2, 3]]),
    (object, None, None),
    (Units, 3, 3),
    (Annotated[int, "a remark", Range(minimum=1)], 3, 3),
    (Annotated[int, Range(minimum=1)] | None, None, None),
    (Spec | None, "dot( )", Spec("dot")),
]
MISFITS = [
    (Optional[int], "3", "int or None"),
    (int | float, True, "int or float"),
    (float, True, "float"),
    (int, True, "int"),
    (bool, 1, "bool"),
    (list[int], 3, "list[int]"),
    (list[int], [1, 2.5], "list[int]"),
    (list[int], "ab", "list[int]"),
    (tuple[int, int], [1], "tuple[int, int]"),
    (tuple[int, ...], [True], "tuple[int, ...]"),
    (collections.abc.Sequence[int], ["a"], "Sequence[int]"),
    (Literal[True, "both"] | None, 1, "True or 'both' or None"),
    (set, [1], "set"),
]


@pytest.mark.parametrize(("hint", "value", "expected"), FITS)
def test_a_valid_value_is_converted_to_its_annotation(hint, value, expected):
    result = conform(value, hint, "x")
    assert result == expected and type(result) is type(expected)


@pytest.mark.parametrize(("hint", "value", "allowed"), MISFITS)
def test_an_invalid_value_is_reported_with_the_allowed_type(hint, value, allowed):
    assert describe(hint) == allowed
    with pytest.raises(UserError) as caught:
        conform(value, hint, "x")
    assert str(caught.value) == f"x is {value!r}, but must be of type {allowed}"


@pytest.mark.parametrize(
    ("hint", "value"),
    [(Annotated[int, Range(minimum=1)] | None, 0), (list[Annotated[int, Range(minimum=1)]], [1, 0])],
)
def test_a_range_applies_inside_unions_and_lists(hint, value):
    with pytest.raises(UserError, match="x is 0, but must be at least 1"):
        conform(value, hint, "x")


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=4))
def test_every_annotation_accepts_a_value_or_raises_a_user_error(value):
    for hint in {hint for hint, *_ in FITS}:
        try:
            result = conform(value, hint, "x")
        except UserError as error:
            assert str(error).startswith("x")
        else:
            assert conform(result, hint, "x") == result or result != result or isinstance(result, list | tuple)


LATER = """
from __future__ import annotations
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Optional
    from nowhere import Vector

def mine(param: Callable, keys, units: Optional[int] = None, sizes: Sequence[int] = (1, 2), first: Vector = 0): ...
"""
PLAIN = """
from collections.abc import Callable
def bare(param, keys, units=None, scale=1.0, deep=False): ...
def implicit(param, keys, units: int = None): ...
def helper(param, keys, init: Callable = max, *, size: "int" = 3, **more): ...
def wrong(param, keys, units: int = 1.5): ...
def wrong_text(param, keys, mode: bool = "yes"): ...
"""


@pytest.fixture
def bind(tmp_path):
    (tmp_path / "later.py").write_text(LATER)
    (tmp_path / "plain.py").write_text(PLAIN)
    return lambda text: Registry("score").bind(Spec(f"{tmp_path}/{text}")).hyper


@pytest.mark.parametrize(
    ("text", "hyper"),
    [
        ("later.py:mine", {"units": None, "sizes": (1, 2), "first": 0}),
        ("later.py:mine(units=8, sizes=[3, 4], first=5)", {"units": 8, "sizes": (3, 4), "first": 5}),
        ("plain.py:bare(units=[1, 'a'], scale=2)", {"units": [1, "a"], "scale": 2.0, "deep": False}),
        ("plain.py:bare(deep=true)", {"units": None, "scale": 1.0, "deep": True}),
        ("plain.py:implicit", {"units": None}),
        ("plain.py:implicit(units=4)", {"units": 4}),
        ("plain.py:helper(size=4)", {"init": max, "size": 4}),
    ],
)
def test_annotations_in_a_users_file_apply(bind, text, hyper):
    assert bind(text) == hyper


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("plain.py:bare(scale='a')", r"scale of score 'bare' in .*plain.py is 'a', but must be of type float"),
        ("later.py:mine(units=1.5)", r"units of score 'mine' in .*later.py is 1.5, but must be of type int or None"),
        ("later.py:mine(sizes=3)", r"sizes of score 'mine' in .* must be of type Sequence\[int\]"),
        ("plain.py:wrong", r"the default of units of score 'wrong' in .*plain.py is 1.5, but must be of type int"),
        ("plain.py:wrong_text", r"the default of mode of score 'wrong_text' in .* is 'yes', but must be of type bool"),
    ],
)
def test_an_invalid_value_or_default_is_reported_with_its_file(bind, text, message):
    with pytest.raises(UserError, match=message):
        bind(text)
