"""Names to functions: the one place where a variant's name decides anything.

A variant is said in one grammar everywhere, in a config, on the command line, in a table's row:
`[module:]name(hyper=literal, ...)`, for example `concat(units=128)` or `my_scores.py:cosine`.
It is read with `ast` and never evaluated; the part before the colon is a module or a file that the user
named, and is imported. A name that is not ours may be that of an installed package's entry point.
"""

import ast
import functools
import hashlib
import importlib
import importlib.metadata
import importlib.util
import inspect
import json
import math
import sys
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attn_research import user_modules
from attn_research.annotations import conform_all, hyperparameters
from attn_research.errors import UserError, nearest


class Spec(str):
    """A spec string in its normal form: `Spec("concat( units = 64 )") == "concat(units=64)"`.

    Raises:
      UserError: the text is not `[module:]name(hyper=literal, ...)`.
    """

    module: str  # "" for a built-in variant
    name: str
    hyper: dict[str, Any]

    def __new__(cls, text: str):
        module, name, hyper = _parse(text)
        arguments = ", ".join(f"{key}={_literal(value)}" for key, value in sorted(hyper.items()))
        self = super().__new__(cls, (f"{module}:" if module else "") + name + (f"({arguments})" if hyper else ""))
        self.module, self.name, self.hyper = module, name, hyper
        return self

    def taken_from(self, file: str) -> "Spec":
        """The same function with the same hyperparameters, from another file."""
        moved = str.__new__(Spec, f"{file}:{self[len(self.module) + 1 :] if self.module else self}")
        moved.module, moved.name, moved.hyper = file, self.name, self.hyper
        return moved


def _parse(text: str) -> tuple[str, str, dict[str, Any]]:
    module, _, _ = text.partition("(")[0].rpartition(":")
    expression = text[len(module) + 1 :] if module else text
    try:
        call = ast.parse(expression.strip(), mode="eval").body
        if isinstance(call, ast.Name):
            return module.strip(), call.id, {}
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and not call.args):
            raise UserError("positional arguments or another expression")
        hyper = {keyword.arg: ast.literal_eval(_Lowercase().visit(keyword.value)) for keyword in call.keywords}
        if None in hyper or len(hyper) < len(call.keywords):
            raise UserError("** or a hyperparameter said twice")
        for value in hyper.values():
            _literal(value)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise UserError(
            f"{text!r} is not a spec string of the form [module:]name(hyper=literal, ...), as in concat(units=64)"
        ) from error
    return module.strip(), call.func.id, hyper


LOWERCASE = {"true": True, "false": False}  # as JSON, YAML and our own messages write them


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
    """A UserError with `message` where `condition` is False."""
    if not condition:
        raise UserError(message)


class Bound(typing.NamedTuple):
    """A variant with its hyperparameters filled in; calling it calls the variant's function with them."""

    function: Callable
    hyper: dict[str, Any]
    traits: types.SimpleNamespace

    def __call__(self, *args):
        return self.function(*args, **self.hyper)


class Registry:
    """Variants of one kind (scores, cells, tasks ...), and the traits with which one may be registered.

    >>> scores = Registry("score", remembers=False)
    >>> @scores.register(remembers=True)
    ... def coverage(param, keys, query_size, units: int = 64): ...
    >>> scores.bind(Spec("coverage(units=8)")).hyper
    {'units': 8}
    """

    def __init__(self, kind: str, **traits: Any):
        self.kind, self.traits, self.functions = kind, traits, {}

    def register(self, function: Callable | None = None, **traits: Any) -> Callable:
        """Decorator; `traits` are those that differ from the registry's own.

        A user's function gets its traits and no name here: a spec names it together with its file. A trait that an
        option decides is a function of the hyperparameters: `exact_gradient=lambda hyper: not hyper["stop_gradient"]`.
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
        function.traits = traits
        return function

    def bind(self, spec: Spec) -> Bound:
        """The variant that `spec` names, its hyperparameters checked and its defaults filled in.

        A hyperparameter is a parameter of the function that has a default; its annotation says what it may be.

        Raises:
          UserError: an unknown name, an unknown hyperparameter, or a value of another type or outside its range.
        """
        function = self._find(spec)
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

    def normal(self, spec: Spec) -> Spec:
        """The spelling that all specs of the same meaning share: annotated types, and no value that is the default.

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

    def _find(self, spec: Spec) -> Callable:
        if not spec.module:
            return self.functions[spec.name] if spec.name in self.functions else self._load_installed(spec.name)
        functions = {k: v for k, v in vars(user_modules.load(spec.module)).items() if inspect.isfunction(v)}
        if spec.name not in functions:
            known = [name for name in functions if not name.startswith("_")]
            raise UserError(f"no function {spec.name!r} in {spec.module}; {nearest(spec.name, known)}")
        return functions[spec.name]

    def _load_installed(self, name: str) -> Callable:
        """The variant that another package offers."""
        points = entry_points(self.kind)
        if name not in points:
            raise UserError(f"unknown {self.kind} {name!r}; {nearest(name, [*self.functions, *points])}")
        return _load(points[name])


@functools.cache
def entry_points(kind: str) -> dict[str, importlib.metadata.EntryPoint]:
    """What installed packages offer of one kind, as entry points of the group attn_research.scores (or cells, ...)."""
    return {point.name: point for point in importlib.metadata.entry_points(group=f"attn_research.{kind}s")}


def _load(point: importlib.metadata.EntryPoint) -> Callable:
    try:
        return point.load()
    except Exception as error:
        raise UserError(f"cannot load {point.name!r} from {point.value!r}: {type(error).__name__}: {error}") from error


def source(spec: Spec, kind: str) -> user_modules.Source | None:
    """The files that `spec` comes from, as they are now; None for a built-in variant. Nothing is imported.

    `kind` is the registry's: a name without a file or module may be that of an installed package's variant.
    """
    if spec.module:
        return user_modules.read(spec.module)
    if spec.name in entry_points(kind):
        return user_modules.read(entry_points(kind)[spec.name].module)
    return None


def fingerprint(spec: Spec, kind: str) -> str | None:
    """First 16 hex characters of the sha256 of the file that `spec` comes from; None for a built-in variant.

    `kind` is the registry's: a name without a file or module may be that of an installed package's variant.
    """
    if spec.module:
        module = user_modules.load(spec.module)
    elif spec.name in entry_points(kind):
        module = sys.modules[_load(entry_points(kind)[spec.name]).__module__]
    else:
        return None
    return hashlib.sha256(Path(module.__file__).read_bytes()).hexdigest()[:16]
