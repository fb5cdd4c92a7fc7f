"""Fields by their dotted names: listing, comparing and replacing the values of a config."""

import dataclasses
import functools
import operator
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from attn_research.annotations import conform
from attn_research.errors import UserError, nearest
from attn_research.registry import Spec

Part = TypeVar("Part")


class Checked:
    """Base of the config dataclasses: checks each value against the annotation of its field."""

    def __post_init__(self):
        for name, hint in _hints(type(self)).items():
            where, value = f"config field {name!r} of {type(self).__name__}", getattr(self, name)
            if value is getattr(type(self), name, dataclasses.MISSING):
                continue  # the default
            if not dataclasses.is_dataclass(hint):
                object.__setattr__(self, name, conform(value, hint, where))
            elif not isinstance(value, hint):
                raise UserError(f"{where} is {value!r}, but must be of type {hint.__name__}")


@functools.cache
def _hints(part: type) -> dict[str, Any]:
    return typing.get_type_hints(part, include_extras=True)


def flatten(config: Any) -> dict[str, Any]:
    """Returns every value by its dotted name, as in `{"data.batch_size": 64, ...}`; all are JSON values."""
    part: Any = type(config)
    return dict(zip(_field_types(part), _reader(part)(config), strict=True))


@functools.cache
def _reader(part: Any) -> Callable[[Any], tuple]:
    """Returns a function that reads all values of a config at once: sweeps flatten tens of thousands of configs."""
    return operator.attrgetter(*_field_types(part))


def field_types(config: Any) -> dict[str, Any]:
    """Returns the annotation of every field by its dotted name."""
    part: Any = type(config)  # mypy takes a type for unhashable
    return dict(_field_types(part))


@functools.cache
def _field_types(part: Any, prefix: str = "") -> Mapping[str, Any]:
    types: dict[str, Any] = {}
    for name, hint in _hints(part).items():
        nested = dataclasses.is_dataclass(hint)
        types |= _field_types(hint, f"{prefix}{name}.") if nested else {prefix + name: hint}
    return types


def override(config: Part, changes: Mapping[str, Any]) -> Part:
    """Returns a copy of `config` in which the dotted names in `changes` have new values.

    Raises:
      UserError: a name is unknown, or a value has the wrong type or is out of range.
    """
    if not (items := changes.items()):
        return config
    known, values = field_types(config), flatten(config)
    conformed = {}
    for name, value in items:
        if name not in known:
            raise UserError(f"config has no field {name!r}; {nearest(name, known)}")
        if value is not values[name] and repr(value) != repr(values[name]):  # the values of a config conform already
            conformed[name] = conform(value, known[name], f"config field {name!r}")
    return _replace(config, conformed) if conformed else config


def _replace(config: Part, changes: Mapping[str, Any]) -> Part:
    """Returns a copy with new values, which are not checked again."""
    inner: dict[str, dict[str, Any]] = {}
    own: dict[str, Any] = {}
    for name, value in changes.items():
        head, dot, rest = name.partition(".")
        if dot:
            inner.setdefault(head, {})[rest] = value
        else:
            own[head] = value
    own |= {head: _replace(getattr(config, head), values) for head, values in inner.items()}
    copy = object.__new__(type(config))
    copy.__dict__.update(vars(config) | own)
    return copy


def with_spec(config: Part, name: str, spec: Spec) -> Part:
    """Returns a copy of `config` with `spec`, unchanged and unchecked, in the field `name`."""
    return _replace(config, {name: spec})


def diff(a: Any, b: Any) -> dict[str, tuple[Any, Any]]:
    """Returns the fields in which two configs differ: `{name: (value in a, value in b)}`."""
    left, right = flatten(a), flatten(b)
    return {name: (left[name], right[name]) for name in left if left[name] != right[name]}
