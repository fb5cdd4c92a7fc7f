"""Fields by their dotted names: listing, comparing and replacing the values of a config."""

import dataclasses
import functools
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from attn_research.annotations import conform
from attn_research.errors import UserError, nearest
from attn_research.registry import Spec

Part = TypeVar("Part")


class Checked:
    """Base of the config dataclasses: checks each value against the annotation of its field."""

    def __post_init__(self):
        for name, hint in _hints(type(self)).items():
            if not dataclasses.is_dataclass(hint):
                where = f"config field {name!r} of {type(self).__name__}"
                object.__setattr__(self, name, conform(getattr(self, name), hint, where))


@functools.cache
def _hints(part: type) -> dict[str, Any]:
    return typing.get_type_hints(part, include_extras=True)


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """Returns every value by its dotted name, as in `{"data.batch_size": 64, ...}`; all are JSON values."""
    leaves: dict[str, Any] = {}
    for item in dataclasses.fields(config):
        value = getattr(config, item.name)
        name = prefix + item.name
        leaves |= flatten(value, name + ".") if dataclasses.is_dataclass(value) else {name: value}
    return leaves


def field_types(config: Any, prefix: str = "") -> dict[str, Any]:
    """Returns the annotation of every field by its dotted name."""
    types: dict[str, Any] = {}
    for name, hint in _hints(type(config)).items():  # type: ignore[arg-type]  # mypy takes type[Any] for unhashable
        if dataclasses.is_dataclass(hint):
            types |= field_types(getattr(config, name), f"{prefix}{name}.")
        else:
            types[prefix + name] = hint
    return types


def override(config: Part, changes: Mapping[str, Any]) -> Part:
    """Returns a copy of `config` in which the dotted names in `changes` have new values.

    Raises:
      UserError: a name is unknown, or a value has the wrong type or is out of range.
    """
    known, old = field_types(config), flatten(config)
    for name, value in changes.items():
        if name not in known:
            raise UserError(f"config has no field {name!r}; {nearest(name, known)}")
        value = conform(value, known[name], f"config field {name!r}")
        if value != old[name]:  # most fields of a record have their defaults, and a copy checks all fields
            config = _replace(config, name.split("."), value)
    return config


def _replace(config: Any, path: list[str], value: Any) -> Any:
    head, *rest = path
    return dataclasses.replace(config, **{head: _replace(getattr(config, head), rest, value) if rest else value})


def with_spec(config: Part, name: str, spec: Spec) -> Part:
    """Returns a copy of `config` with `spec`, unchanged and unchecked, in the field `name`."""
    return _replace(config, name.split("."), spec)


def diff(a: Any, b: Any) -> dict[str, tuple[Any, Any]]:
    """Returns the fields in which two configs differ: `{name: (value in a, value in b)}`."""
    left, right = flatten(a), flatten(b)
    return {name: (left[name], right[name]) for name in left if left[name] != right[name]}
