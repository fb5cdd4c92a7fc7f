"""Configs from arguments of the command line, from flat JSON and from Python files."""

import ast
import functools
import runpy
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from attn_research.config.fields import field_types, flatten, override
from attn_research.config.schema import Config
from attn_research.errors import UserError, nearest
from attn_research.presets import preset
from attn_research.registry import LOWERCASE, Spec


def unflatten(leaves: Mapping[str, Any]) -> Config:
    """Returns the config that `flatten` wrote. A missing field has its default: it is newer than the file."""
    return override(_defaults(), leaves)


@functools.cache
def _defaults() -> Config:
    return Config()


def check_search_changes(changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns changes of a trained run's config, if all are fields of `decode`: others would not fit its parameters.

    Raises:
      UserError: there is another field.
    """
    known = [name for name in flatten(_defaults()) if name.startswith("decode.")]
    for name in changes:
        if name not in known:
            match = nearest(f"decode.{name.removeprefix('decode.')}", known)
            raise UserError(f"{name!r} cannot be changed in a trained run; {match}")
    return changes


def parse_changes(arguments: Iterable[str]) -> dict[str, Any]:
    """Returns the changes for `override` that `["preset:fairseq", "seed=2", ...]` describes.

    If a field is set twice, the last value wins.

    Raises:
      UserError: an argument is neither `name=value` nor a known `preset:NAME`.
    """
    known = field_types(Config())
    changes: dict[str, Any] = {}
    for argument in arguments:
        if argument.startswith("preset:"):
            changes |= preset(argument.removeprefix("preset:"))
            continue
        name, equals, text = argument.partition("=")
        if not equals:
            raise UserError(f"{argument!r} is not of the form name=value, as in seed=2; {nearest(argument, known)}")
        changes[name] = _parse_value(text, known.get(name))
    return changes


def parse_grid(argument: str) -> tuple[str, tuple]:
    """Returns the name and the values of `train.learning_rate=1e-3,5e-3`. Commas inside brackets separate no values.

    Raises:
      UserError: the argument is not of this form.
    """
    known = field_types(Config())
    name, equals, text = argument.partition("=")
    if not equals or not text:
        raise UserError(f"{argument!r} is not of the form name=value,value, as in train.learning_rate=1e-3,5e-3")
    return name, tuple(_parse_value(value, known.get(name)) for value in _split_values(text))


def _split_values(text: str) -> list[str]:
    values, depth = [""], 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            values.append("")
        else:
            values[-1] += character
    return values


def _parse_value(text: str, hint: Any) -> Any:
    if hint is Spec or typing.get_origin(hint) is Literal:
        return text
    if hint is bool and text in LOWERCASE:
        return LOWERCASE[text]
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return text


def load(path: str | Path) -> Config:
    """Returns the `config` that a file in configs/ defines.

    Raises:
      UserError: the file does not exist or defines no Config named `config`.
    """
    namespace = run_file(path)
    if not isinstance(namespace.get("config"), Config):
        raise UserError(f"{path} defines no Config named 'config'")
    return unflatten(flatten(namespace["config"]))


def run_file(path: str | Path) -> dict[str, Any]:
    """Runs a config or experiment file by its path and returns the names that it defines.

    Raises:
      UserError: the file does not exist.
    """
    path = Path(path)
    if not path.is_file():
        siblings = [p.name for p in path.parent.glob("*.py")] if path.parent.is_dir() else []
        raise UserError(f"no file {path}; {nearest(path.name, siblings)}")
    return runpy.run_path(str(path))
