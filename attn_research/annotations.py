"""Checks values against annotations: types, literals, unions, sequences and ranges of numbers.

The annotation of a config field or hyperparameter is the only place of its range:
`units: Annotated[int, Range(minimum=1)] = 64`, or with a name from this module `units: Size = 64`.
"""

import collections.abc
import functools
import inspect
import math
import struct
import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from attn_research.errors import UserError, nearest


@dataclass(frozen=True)
class Range:
    """The range of a number: `minimum` and `maximum` are inclusive, `above` and `below` exclusive.

    A float is compared as float32, the type in which models compute: 1 - 1e-9 is not below 1.
    """

    minimum: float | None = None
    above: float | None = None
    maximum: float | None = None
    below: float | None = None

    def __contains__(self, value: float) -> bool:
        if isinstance(value, float):
            value = _as_float32(value)
        return (
            (self.minimum is None or value >= _cast_bound(self.minimum, value))
            and (self.above is None or value > self.above)
            and (self.maximum is None or value <= _cast_bound(self.maximum, value))
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        bounds = {"at least": self.minimum, "above": self.above, "at most": self.maximum, "below": self.below}
        return " and ".join(f"{word} {bound!r}" for word, bound in bounds.items() if bound is not None)


def _as_float32(value: float) -> float:
    """Returns the nearest float32; infinity if the value is too large."""
    try:
        return struct.unpack("f", struct.pack("f", value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)


def _cast_bound(bound: float, value: float) -> float:
    return _as_float32(bound) if isinstance(value, float) else bound


Size = Annotated[int, Range(minimum=1, maximum=8192)]  # of a vector
Positions = Annotated[int, Range(minimum=1, maximum=65_536)]  # of a sentence, or the rows of a batch
Count = Annotated[int, Range(minimum=1, maximum=2**31 - 1)]  # an int32 counter
Seed = Annotated[int, Range(minimum=0, maximum=2**32 - 1)]  # JAX ignores higher bits
Items = Annotated[int, Range(minimum=1, maximum=10_000_000)]  # items of a split
Length = Annotated[int, Range(minimum=1, maximum=10_000)]  # symbols of a sentence
Share = Annotated[float, Range(minimum=0, below=1)]
Factor = Annotated[float, Range(minimum=1e-6, maximum=1e6)]  # a temperature or its inverse
Logit = Annotated[float, Range(minimum=-1e6, maximum=1e6)]
Trace = Annotated[float, Range(minimum=1e-30, maximum=1)]  # epsilon: a small number that avoids division by zero


class _MismatchError(Exception):
    """The annotation does not allow the value."""


def conform(value: Any, hint: Any, where: str) -> Any:
    """Returns `value` converted to the annotation `hint`: an int may become a float, a string a Spec.

    Args:
      where: the subject of the error message, as in "config field 'seed'".

    Raises:
      UserError: the value has the wrong type or is out of range.
    """
    try:
        return _conform(value, hint, where)
    except _MismatchError:
        if typing.get_origin(hint) is typing.Literal:
            known = nearest(str(value), map(str, typing.get_args(hint)))
            raise UserError(f"{where} is {value!r}; {known}") from None
        raise UserError(f"{where} is {value!r}, but must be of type {describe(hint)}") from None


def _conform(value: Any, hint: Any, where: str) -> Any:
    hint = _resolve(hint)
    origin, options = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return _in_range(_conform(value, options[0], where), hint.__metadata__, where)
    if origin is typing.Literal:
        return _first_of([option for option in options if type(option) is type(value) and option == value])
    if origin in (typing.Union, types.UnionType):
        return _conform_union(value, options, where)
    if hint is None or hint is type(None):
        return _first_of([None] * (value is None))
    if (origin or hint) in _SEQUENCES:
        return _conform_sequence(value, origin or hint, options, where)
    if hint is float and type(value) in (int, float):
        return _finite(value, where)
    if hint in (bool, int, str):
        return _first_of([value] * (type(value) is hint))
    if hint is Any or not isinstance(hint, type):
        return _tuples_as_lists(value)
    if issubclass(hint, str) and isinstance(value, str):
        return _construct(hint, value, where)
    return _first_of([value] * (hint is not float and _is_instance(value, hint)))


def _first_of(options: list) -> Any:
    if not options:
        raise _MismatchError
    return options[0]


def _is_instance(value: Any, kind: type) -> bool:
    """Returns whether `value` is a `kind`; True for a protocol without runtime checks."""
    try:
        return isinstance(value, kind)
    except TypeError:
        return True


def _resolve(hint: Any) -> Any:
    """Returns the type behind a `NewType` or a `type` statement."""
    while hasattr(hint, "__supertype__") or hasattr(hint, "__value__"):
        hint = getattr(hint, "__supertype__", None) or hint.__value__
    return hint


def _in_range(value: Any, metadata: tuple, where: str) -> Any:
    for allowed in metadata:
        if isinstance(allowed, Range) and value not in allowed:
            raise UserError(f"{where} is {value!r}, but must be {allowed}")
    return value


def _finite(value: float, where: str) -> float:
    if abs(value) <= 2**1023 and math.isfinite(_as_float32(float(value))):
        return float(value)
    raise UserError(f"{where} is {value!r}, but must be of type float and finite as float32")


def _construct(kind: type, text: str, where: str) -> Any:
    try:
        return text if type(text) is kind else kind(text)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error


def _conform_union(value: Any, options: tuple, where: str) -> Any:
    """Prefers the option with exactly the type of the value; otherwise takes the first that allows it."""
    exact = [option for option in options if _kind(option) is type(value)]
    for option in [*exact, *options]:
        try:
            return _conform(value, option, where)
        except _MismatchError:
            continue
    raise _MismatchError


def _kind(hint: Any) -> Any:
    """Returns the type of the values that an annotation allows."""
    hint = _resolve(hint)
    if typing.get_origin(hint) is Annotated:
        return _kind(typing.get_args(hint)[0])
    return typing.get_origin(hint) or hint


_SEQUENCES = {list: list, tuple: tuple} | dict.fromkeys(
    (collections.abc.Sequence, collections.abc.Collection, collections.abc.Iterable), tuple
)


def _conform_sequence(value: Any, origin: Any, options: tuple, where: str) -> Any:
    """Converts a list or tuple item by item. Spec strings write both as [...]."""
    if not isinstance(value, list | tuple):
        raise _MismatchError
    if origin is tuple and options and options[-1] is not ...:
        if len(value) != len(options):
            raise _MismatchError
        items = options
    else:
        items = (options[0] if options else Any,) * len(value)
    kind = _SEQUENCES[origin]
    return kind(_conform(item, hint, where) for item, hint in zip(value, items, strict=True))


def _tuples_as_lists(value: Any) -> Any:
    return [_tuples_as_lists(item) for item in value] if isinstance(value, list | tuple) else value


def describe(hint: Any) -> str:
    """Describes an annotation for a message, as in 'int, None or list[int]'."""
    hint = _resolve(hint)
    origin, options = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return describe(options[0])
    if origin in (typing.Union, types.UnionType):
        *first, last = map(describe, options)
        return f"{', '.join(first)} or {last}"
    if origin is typing.Literal:
        return " or ".join(map(repr, options))
    if hint is type(None):
        return "None"
    if origin:
        items = ", ".join("..." if option is ... else describe(option) for option in options)
        return f"{getattr(origin, '__name__', origin)}[{items}]"
    return getattr(hint, "__name__", str(hint))


class Hyperparameter(typing.NamedTuple):
    """A parameter with a default."""

    name: str
    default: Any
    hint: Any


@functools.cache
def hyperparameters(function: Callable) -> tuple[Hyperparameter, ...]:
    """Returns every parameter of `function` that has a default, with its annotation.

    If the annotation is missing or cannot be evaluated, it is the type of the default; for None it is Any.
    """
    parameters = inspect.signature(function).parameters.values()
    return tuple(Hyperparameter(p.name, p.default, _hint(function, p)) for p in parameters if p.default is not p.empty)


def _hint(function: Callable, parameter: inspect.Parameter) -> Any:
    """Returns the annotation of a parameter; a default of None is always allowed."""
    default = parameter.default
    if parameter.annotation is parameter.empty:
        return _type_of(default)
    try:
        hint = _evaluate(function, parameter.annotation)
    except (NameError, AttributeError, TypeError):
        return _type_of(default)
    return typing.Union[hint, None] if default is None and not isinstance(hint, str) else hint  # noqa: UP007


def _evaluate(function: Callable, annotation: Any) -> Any:
    """Evaluates an annotation. The names of typing and collections.abc are known without an import."""
    known = vars(collections.abc) | vars(typing) | inspect.unwrap(function).__globals__
    holder = types.SimpleNamespace(__annotations__={"hint": annotation})
    return typing.get_type_hints(holder, globalns=known, include_extras=True)["hint"]


def _type_of(default: Any) -> Any:
    return Any if default is None else type(default)


def conform_all(function: Callable, values: dict[str, Any], title: str) -> dict[str, Any]:
    """Returns all hyperparameters of `function`: the `values`, and the defaults of the rest.

    Raises:
      UserError: a value or a default does not fit its annotation.
    """
    return dict(_conform_one(function, values, title))


def _conform_one(function: Callable, values: dict[str, Any], title: str) -> Iterator[tuple[str, Any]]:
    for name, default, hint in hyperparameters(function):
        if name in values:
            yield name, conform(values[name], hint, f"{name} of {title}")
        else:
            yield name, conform(default, hint, f"the default of {name} of {title}")
