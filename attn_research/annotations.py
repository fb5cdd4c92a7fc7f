"""What an annotation allows: types, literals, unions, sequences, and the range of a number.

A number's range stands beside it and nowhere else, in a config field as in a hyperparameter:
`units: Annotated[int, Range(minimum=1)] = 64`, or with a name from below `units: Size = 64`.
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
    """The range of a number; `minimum` and `maximum` belong to it, `above` and `below` do not.

    A float must lie in it as float32, in which models compute: 1 - 1e-9 is not below 1.
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
    """The nearest float32, infinite where there is none."""
    try:
        return struct.unpack("f", struct.pack("f", value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)


def _cast_bound(bound: float, value: float) -> float:
    return _as_float32(bound) if isinstance(value, float) else bound


Size = Annotated[int, Range(minimum=1, maximum=8192)]  # of a vector; matrices are between two of them
Positions = Annotated[int, Range(minimum=1, maximum=65_536)]  # positions of a sentence, or rows of a batch
Count = Annotated[int, Range(minimum=1, maximum=2**31 - 1)]  # what is counted in int32
Seed = Annotated[int, Range(minimum=0, maximum=2**32 - 1)]  # JAX drops the bits above 32
Items = Annotated[int, Range(minimum=1, maximum=10_000_000)]  # of a split
Length = Annotated[int, Range(minimum=1, maximum=10_000)]  # of a sentence
Share = Annotated[float, Range(minimum=0, below=1)]
Factor = Annotated[float, Range(minimum=1e-6, maximum=1e6)]  # of logits: a temperature or its inverse
Logit = Annotated[float, Range(minimum=-1e6, maximum=1e6)]
Trace = Annotated[float, Range(minimum=1e-30, maximum=1)]  # what keeps a divisor from zero


class _MismatchError(Exception):
    """The value is none that the annotation allows."""


def conform(value: Any, hint: Any, where: str) -> Any:
    """`value` as the annotation `hint` has it (an int becomes a float, a string a Spec).

    Raises:
      UserError: the value has another type or lies outside its range; the sentence begins with `where`.
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
        return _only([option for option in options if type(option) is type(value) and option == value])
    if origin in (typing.Union, types.UnionType):
        return _conform_union(value, options, where)
    if hint is None or hint is type(None):
        return _only([None] * (value is None))
    if (origin or hint) in _SEQUENCES:
        return _conform_sequence(value, origin or hint, options, where)
    if hint is float and type(value) in (int, float):
        return _finite(value, where)
    if hint in (bool, int, str):
        return _only([value] * (type(value) is hint))
    if hint is Any or not isinstance(hint, type):
        return _plain(value)
    if issubclass(hint, str) and isinstance(value, str):
        return _construct(hint, value, where)
    return _only([value] * (hint is not float and _is_one(value, hint)))


def _only(options: list) -> Any:
    if not options:
        raise _MismatchError
    return options[0]


def _is_one(value: Any, kind: type) -> bool:
    """Whether `value` is a `kind`; of a protocol that cannot say so, everything is."""
    try:
        return isinstance(value, kind)
    except TypeError:
        return True


def _resolve(hint: Any) -> Any:
    """What stands behind a `NewType` or a `type` statement."""
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
    """By the option of exactly the value's type, or by the first one that allows it."""
    exact = [option for option in options if _kind(option) is type(value)]
    for option in [*exact, *options]:
        try:
            return _conform(value, option, where)
        except _MismatchError:
            continue
    raise _MismatchError


def _kind(hint: Any) -> Any:
    """The type whose values an annotation allows, if it is one type."""
    hint = _resolve(hint)
    if typing.get_origin(hint) is Annotated:
        return _kind(typing.get_args(hint)[0])
    return typing.get_origin(hint) or hint


_SEQUENCES = {list: list, tuple: tuple} | dict.fromkeys(
    (collections.abc.Sequence, collections.abc.Collection, collections.abc.Iterable), tuple
)


def _conform_sequence(value: Any, origin: Any, options: tuple, where: str) -> Any:
    """A list or tuple, item by item; a hyperparameter's text says both as [...]."""
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


def _plain(value: Any) -> Any:
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def describe(hint: Any) -> str:
    """An annotation in a message's words: 'int, None or list[int]'."""
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
    """Every parameter of `function` that has a default, with its annotation.

    Without an annotation, or with one whose names exist for type checkers only, it is the type of the default; that of
    None is anything.
    """
    parameters = inspect.signature(function).parameters.values()
    return tuple(Hyperparameter(p.name, p.default, _hint(function, p)) for p in parameters if p.default is not p.empty)


def _hint(function: Callable, parameter: inspect.Parameter) -> Any:
    """None as a default stands beside what the annotation allows."""
    default = parameter.default
    if parameter.annotation is parameter.empty:
        return _type_of(default)
    try:
        hint = _evaluated(function, parameter.annotation)
    except (NameError, AttributeError, TypeError):
        return _type_of(default)
    return typing.Union[hint, None] if default is None and not isinstance(hint, str) else hint  # noqa: UP007


def _evaluated(function: Callable, annotation: Any) -> Any:
    """The annotation; names that the function's module lacks may be those of typing and collections.abc."""
    known = vars(collections.abc) | vars(typing) | inspect.unwrap(function).__globals__
    holder = types.SimpleNamespace(__annotations__={"hint": annotation})
    return typing.get_type_hints(holder, globalns=known, include_extras=True)["hint"]


def _type_of(default: Any) -> Any:
    return Any if default is None else type(default)


def conform_all(function: Callable, values: dict[str, Any], title: str) -> dict[str, Any]:
    """Every hyperparameter of `function`: the values that are `values`, and the defaults of the others.

    Raises:
      UserError: a value does not fit its annotation, or a default does not, which is its author's mistake.
    """
    return dict(_conform_one(function, values, title))


def _conform_one(function: Callable, values: dict[str, Any], title: str) -> Iterator[tuple[str, Any]]:
    for name, default, hint in hyperparameters(function):
        if name in values:
            yield name, conform(values[name], hint, f"{name} of {title}")
        else:
            yield name, conform(default, hint, f"the default of {name} of {title}")
