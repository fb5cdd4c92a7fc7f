"""Registries: the only place where the name of a variant decides anything.

A variant is written in one grammar, in a config, on the command line and in a table's row:
`[module:]name(hyper=literal, ...)`, for example `concat(units=128)` or `my_scores.py:cosine`. The text is parsed with
`ast` and never evaluated. The part before the colon is a file or module of the user, which is imported. A name without
that part is a built-in variant, or an entry point of an installed package.
"""

import ast
import functools
import importlib.metadata
import inspect
import json
import math
import types
import typing
from collections.abc import Callable
from typing import Any

from attn_research import user_modules
from attn_research.annotations import conform_all, hyperparameters
from attn_research.errors import UserError, nearest


class Spec(str):
    """A spec string with normalized spacing and order: `Spec("concat( units = 64 )") == "concat(units=64)"`.

    Raises:
      UserError: the text is not `[module:]name(hyper=literal, ...)`.
    """

    module: str  # "" for a built-in variant
    name: str
    hyper: dict[str, Any]

    def __new__(cls, text: str):
        return _read_spec(text)

    @classmethod
    def _from_parts(cls, module: str, name: str, hyper: dict[str, Any]) -> "Spec":
        arguments = ", ".join(f"{key}={_literal(value)}" for key, value in sorted(hyper.items()))
        self = super().__new__(cls, (f"{module}:" if module else "") + name + (f"({arguments})" if hyper else ""))
        self.module, self.name, self.hyper = module, name, hyper
        return self

    def from_file(self, file: str) -> "Spec":
        """Returns the spec of the function of the same name in `file`, with the same hyperparameters."""
        return self._from_parts(file, self.name, self.hyper)

    def with_hyper(self, name: str, value: Any) -> "Spec":
        """Returns the spec with another value of one hyperparameter."""
        return self._from_parts(self.module, self.name, self.hyper | {name: value})


@functools.lru_cache(maxsize=4096)
def _read_spec(text: str) -> Spec:
    """Parses a spec; cached, because the records of a sweep have the same few specs."""
    return Spec._from_parts(*_parse(text))


def _parse(text: str) -> tuple[str, str, dict[str, Any]]:
    module, _, _ = text.partition("(")[0].rpartition(":")
    expression = text[len(module) + 1 :] if module else text
    try:
        call = ast.parse(expression.strip(), mode="eval").body
        if isinstance(call, ast.Name):
            return module.strip(), call.id, {}
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and not call.args):
            raise UserError("positional arguments or another expression")
        named = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
        hyper = {name: ast.literal_eval(_Lowercase().visit(value)) for name, value in named.items()}
        if len(hyper) < len(call.keywords):
            raise UserError("** or a hyperparameter that is set twice")
        for value in hyper.values():
            _literal(value)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise UserError(
            f"{text!r} is not a spec string of the form [module:]name(hyper=literal, ...), as in concat(units=64)"
        ) from error
    return module.strip(), call.func.id, hyper


LOWERCASE = {"true": True, "false": False}  # the spelling of JSON and YAML


class _Lowercase(ast.NodeTransformer):
    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Constant(LOWERCASE[node.id]) if node.id in LOWERCASE else node


def _literal(value: Any) -> str:
    match value:
        case None | bool() | int():
            return repr(value)
        case float() if math.isfinite(value):
            return repr(value)
        case str() if value == value.encode(errors="replace").decode():
            return json.dumps(value, ensure_ascii=False)
        case list() | tuple():
            return "[" + ", ".join(_literal(item) for item in value) + "]"
    raise UserError(f"{value!r} is not a number, string, bool, None or list of these")


def require(condition: bool, message: str) -> None:
    """Raises a UserError with `message` unless `condition` holds."""
    if not condition:
        raise UserError(message)


class Bound(typing.NamedTuple):
    """A variant with all its hyperparameters. A call passes them to the variant's function."""

    function: Callable
    hyper: dict[str, Any]
    traits: types.SimpleNamespace

    def __call__(self, *args):
        return self.function(*args, **self.hyper)


class Registry:
    """The variants of one kind (scores, cells, tasks ...) and the traits that each may declare.

    >>> scores = Registry("score", remembers=False)
    >>> @scores.register(remembers=True)
    ... def coverage(param, keys, query_size, units: int = 64): ...
    >>> scores.bind(Spec("coverage(units=8)")).hyper
    {'units': 8}

    An installed package offers variants as entry points of the groups attn_research.tasks, .scores, .normalizers,
    .windows, .latents, .cells, .bridges, .placements, .combinations, .output_normalizers, .schedules, .optimizers,
    .length_penalties and .samplings. A built-in variant of the same name takes precedence.

    Args:
      kind: the name of the kind in messages.
      field: the config field of such a variant; by default `kind` with underscores.
      traits: the names of the traits, with their defaults.
    """

    def __init__(self, kind: str, field: str | None = None, **traits: Any):
        self.kind, self.field = kind, field or kind.replace(" ", "_")
        self.traits = traits
        self.functions: dict[str, Callable] = {}

    def register(self, function: Callable | None = None, **traits: Any) -> Callable:
        """Registers a function; a decorator, with or without arguments.

        A user's function gets its traits, but no name in the registry: a spec names it together with its file.

        Args:
          traits: those that differ from the defaults. A trait that depends on an option is a function of the
            hyperparameters, as in `exact_gradient=lambda hyper: not hyper["stop_gradient"]`.

        Raises:
          UserError: a trait is unknown, or the name is taken.
        """
        if function is None:
            return functools.partial(self.register, **traits)
        for trait in traits:
            if trait not in self.traits:
                raise UserError(f"a {self.kind} has no trait {trait!r}; {nearest(trait, self.traits)}")
        built_in = function.__module__.partition(".")[0] == user_modules.PACKAGE
        if built_in and function.__name__ in self.functions:
            raise UserError(f"there is a {self.kind} named {function.__name__!r} already; choose another name")
        if built_in:
            self.functions[function.__name__] = function
        function.traits = traits  # type: ignore[attr-defined]  # a function takes any attribute
        return function

    def bind(self, spec: Spec) -> Bound:
        """Returns the variant that `spec` names, with all hyperparameters checked and defaults filled in.

        A hyperparameter is a parameter of the function that has a default. Its annotation gives type and range.

        Raises:
          UserError: a name or hyperparameter is unknown, or a value has the wrong type or is out of range.
        """
        function = self._find_function(spec)
        known = [one.name for one in hyperparameters(function)]
        for name in spec.hyper:
            if name not in known and name in list(inspect.signature(function).parameters)[3:]:
                raise UserError(f"{name} of {self.kind} {spec.name!r} needs a default, as in {name}: float = 1.0")
            if name not in known:
                raise UserError(f"{self.kind} {spec.name!r} has no hyperparameter {name!r}; {nearest(name, known)}")
        title = f"{self.kind} {spec.name!r}" + (f" in {spec.module}" if spec.module else "")
        hyper = conform_all(function, spec.hyper, title)
        traits = self.traits | getattr(function, "traits", {})
        traits = {name: trait(hyper) if callable(trait) else trait for name, trait in traits.items()}
        return Bound(function, hyper, types.SimpleNamespace(**traits))

    def canonical(self, spec: Spec) -> Spec:
        """Returns the spec that all specs of the same meaning share.

        Values have their annotated types. A value that equals its default is left out, unless the trait `explicit`
        lists its hyperparameter.

        Raises:
          UserError: as `bind`.
        """
        name = f"{spec.module}:{spec.name}" if spec.module else spec.name
        bound, defaults = self.bind(spec), self.bind(Spec(name)).hyper
        explicit = [
            f"{key}={_literal(value)}"
            for key, value in bound.hyper.items()
            if key in getattr(bound.traits, "explicit", ())
            or (key in spec.hyper and repr(value) != repr(defaults[key]))
        ]
        return Spec(f"{name}({', '.join(explicit)})" if explicit else name)

    def _find_function(self, spec: Spec) -> Callable:
        if not spec.module:
            return self.functions[spec.name] if spec.name in self.functions else self._load_installed(spec.name)
        functions = {k: v for k, v in vars(user_modules.load(spec.module)).items() if inspect.isfunction(v)}
        if spec.name not in functions:
            known = [name for name in functions if not name.startswith("_")]
            raise UserError(f"no function {spec.name!r} in {spec.module}; {nearest(spec.name, known)}")
        return functions[spec.name]

    def _load_installed(self, name: str) -> Callable:
        """Returns the variant of an installed package."""
        points = entry_points(self.field)
        if name not in points:
            raise UserError(f"unknown {self.kind} {name!r}; {nearest(name, {*self.functions, *points})}")
        return load_entry_point(points[name])


@functools.cache
def entry_points(field: str) -> dict[str, importlib.metadata.EntryPoint]:
    """Returns the entry points of installed packages for a config field, by name.

    The group is the plural of the field: attn_research.scores, attn_research.length_penalties ...
    """
    plural = f"{field[:-1]}ies" if field.endswith("y") else f"{field}s"
    return {point.name: point for point in importlib.metadata.entry_points(group=f"attn_research.{plural}")}


def load_entry_point(point: importlib.metadata.EntryPoint) -> Callable:
    """Imports the function of an installed package.

    Raises:
      UserError: the import fails.
    """
    try:
        return point.load()
    except Exception as error:
        raise UserError(f"cannot load {point.name!r} from {point.value!r}: {type(error).__name__}: {error}") from error
