"""Checks calls of a user's own score, normalizer or window; every error names a line of the user's file."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, cast

import jax.numpy as jnp
from jaxtyping import Array, Float

from attn_research.attention.explain import Sizes, explain
from attn_research.attention.history import StatefulComponent
from attn_research.errors import UserError
from attn_research.registry import Bound
from attn_research.source_lines import Line, definition_of, file_of, raised_at, return_of

ARGUMENTS = ("param", "keys", "query_size")
STEP_ARGUMENTS = {
    "score": ("query", "history"),
    "normalizer": ("logits", "visible", "query", "history"),
    "window": ("query", "history"),
}


class _LocatedError(UserError):
    """An error that names a line of the user's file."""


def is_user_function(function: Callable) -> bool:
    """Whether a function is the user's, not this package's."""
    return function.__module__.partition(".")[0] != "attn_research" and file_of(function) is not None


def build(kind: str, component: Bound, param: Callable, keys: Float[Array, "b s k"], query_size: int) -> Any:
    """Returns `component(param, keys, query_size)`.

    Raises:
      UserError: the function is the user's, and it or the function that it returns breaks the contract.
    """
    if not is_user_function(component.function):
        return component(param, keys, query_size)
    b, s, k = keys.shape
    return Guard(kind, component.function, Sizes(b, s, k, query_size)).build(component, param, keys)


@dataclass(frozen=True)
class Guard:
    """Checks one function of the user's, in a call with these sizes."""

    kind: str
    function: Callable
    sizes: Sizes

    @property
    def name(self) -> str:
        return self.function.__name__

    def build(self, component: Bound, param: Callable, keys: Array) -> Callable | StatefulComponent:
        """Returns what the function returns, with checks around its step."""
        self._check_signature()
        is_open = [True]

        def guarded_param(name: str, init: Callable, *args: Any, **options: Any) -> Array:
            if not is_open:
                raise UserError(
                    f"param({name!r}, ...) is called inside of the function that {self.name} returns, which runs at "
                    "every step; call it before the `return`, and use the array inside"
                )
            if not (isinstance(name, str) and callable(init)):
                raise UserError("param takes a name, an initializer and a shape, as in param('W', init, (3, 4))")
            return param(name, init, *args, **options)

        result = self._call(component, guarded_param, keys, self.sizes.q)
        is_open.clear()
        if isinstance(result, StatefulComponent):
            return result._replace(
                step=self._guard_step(result.step), update=lambda *args: self._call(result.update, *args)
            )
        if not callable(result):
            self._fail(
                return_of(self.function),
                f"{self.name} returns {self._describe(result)} instead of a function "
                f"of ({', '.join(STEP_ARGUMENTS[self.kind])})",
                f"in this call {self.sizes}",
            )
        return self._guard_step(result)

    def _check_signature(self) -> None:
        parameters = inspect.signature(self.function).parameters.values()
        first = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        bare = [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        line, contract = definition_of(self.function), f"a {self.kind} takes ({', '.join(ARGUMENTS)})"
        swapped = set(bare[:3]) == set(ARGUMENTS) and tuple(bare[:3]) != ARGUMENTS
        if (len(first) < len(ARGUMENTS) and not any(p.kind == p.VAR_POSITIONAL for p in parameters)) or swapped:
            self._fail(line, f"{self.name} takes ({', '.join(bare)})", f"but {contract}, in this order")
        for name in bare[len(ARGUMENTS) :]:
            self._fail(
                line,
                f"{name} of {self.name} has no default",
                f"{contract}, and all others are hyperparameters with a default, as in {name}: float = 1.0",
            )

    def _guard_step(self, step: Callable) -> Callable:
        names = STEP_ARGUMENTS[self.kind]

        def guarded(*args: Any) -> Any:
            self._check_arguments(step, names)
            result = self._call(step, *args)
            if self.kind == "window":
                return self._check_window(step, result)
            return self._check_row(step, result, "weights" if self.kind == "normalizer" else "logits")

        return guarded

    def _check_arguments(self, step: Callable, names: tuple[str, ...]) -> None:
        try:
            signature = inspect.signature(step)
        except (TypeError, ValueError):
            return
        try:
            signature.bind(*names)
        except TypeError:
            accepted = ", ".join(signature.parameters)
            self._fail(
                self._return_line(step),
                f"the function that {self.name} returns takes ({accepted})",
                f"but for a {self.kind} it must take ({', '.join(names)})",
            )

    def _check_window(self, step: Callable, result: Any) -> tuple[Array, Callable]:
        if not (isinstance(result, tuple) and len(result) == 2 and callable(result[1])):
            self._fail(
                self._return_line(step),
                f"the function that window {self.name} returns gives {self._describe(result)}",
                "but it must give two things, visible [b s] and a function of the weights, as in `return visible, "
                "lambda weights: weights`",
            )
        visible, reweight = result
        if getattr(visible, "shape", None) != self.sizes[:2] or visible.dtype != bool:
            self._fail(
                self._return_line(step),
                f"visible of window {self.name} is {self._describe(visible)}",
                f"but must be one bool per position, [b s] = {list(self.sizes[:2])}",
            )
        return visible, lambda weights: self._check_row(reweight, self._call(reweight, weights), "weights")

    def _check_row(self, step: Callable, result: Any, quantity: str) -> Array:
        """Returns `result` if it is one number per position."""
        expected = self.sizes[:2]
        if getattr(result, "shape", None) != expected:
            self._fail(
                self._return_line(step),
                f"the function that {self.name} returns gives {self._describe(result)} as {quantity}, which must be "
                f"[b s] = {list(expected)}, one number per position",
                f"{self._suggest_fix(getattr(result, 'shape', None))}; in this call {self.sizes}",
            )
        if not jnp.issubdtype(result.dtype, jnp.floating):
            self._fail(
                self._return_line(step),
                f"the function that {self.name} returns gives {quantity} of type {result.dtype}, but must give floats",
                "keep the type of the keys, with x.astype(query.dtype)",
            )
        return result

    def _suggest_fix(self, shape: tuple[int, ...] | None) -> str:
        b, s = self.sizes[:2]
        if shape is None:
            return "return the computed array"
        if shape == (b, s, 1):
            return "drop the last axis, with x[..., 0]"
        if shape == (s, b):
            return "swap the two axes, with x.T"
        if shape in ((1, s), (b, 1), (s,), (1, 1), ()):
            return "if this is intended, repeat it with jnp.broadcast_to(x, keys.shape[:2])"
        if len(shape) == 1:
            return "keep the axis of positions: sum over the last axis of the keys only, with .sum(-1)"
        if len(shape) == 3:
            return "sum over the last axis, with .sum(-1)"
        return "keep the axis of positions and sum over sizes, with jnp.einsum('bsk,bk->bs', keys, x)"

    def _return_line(self, step: Callable) -> Line:
        return return_of(step if file_of(step) and is_user_function(step) else self.function)

    def _describe(self, result: Any) -> str:
        if result is None:
            return "nothing (None)"
        if hasattr(result, "shape") and hasattr(result, "dtype"):
            kind = "" if jnp.issubdtype(result.dtype, jnp.floating) else f" of type {result.dtype}"
            return f"an array {self.sizes.named(result.shape)}{kind}"
        return f"a {type(result).__name__}"

    def _call(self, function: Callable | Bound, *args: Any) -> Any:
        try:
            return function(*args)
        except _LocatedError:
            raise
        except Exception as error:
            file = cast(str, file_of(self.function))  # never None for a user's function
            line = raised_at(error, file) or definition_of(self.function)
            message = str(error) if isinstance(error, UserError) else explain(error, self.sizes)
            raise _LocatedError(f"{line}: in {line.code}, {message}") from error

    def _fail(self, line: Line, problem: str, expected: str) -> NoReturn:
        raise _LocatedError(f"{line}: in {line.code}, {problem}; {expected}")
