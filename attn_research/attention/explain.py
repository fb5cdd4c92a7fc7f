"""Explains errors in a user's score, normalizer or window in terms that need no knowledge of JAX."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import jax
from flax import errors as flax_errors

from attn_research.source_lines import typo

TEXT = 160  # characters of a library's own message
MISFIT = re.compile(
    "shape|dimension|broadcast|Size of label|subscript|out of bounds|reshape|oncatenate|contracting|rank|transpose"
)


class Sizes(NamedTuple):
    """The sizes of the arrays in one call."""

    b: int
    s: int
    k: int
    q: int

    def __str__(self):
        b, s, k, q = self
        return f"keys are [b s k] = {[b, s, k]}, a query is [b q] = {[b, q]}, logits are [b s] = {[b, s]}"

    def named(self, shape: Sequence[int]) -> str:
        """Returns a shape with its letters, as in `[b s 1] = [5, 26, 1]`. Equal sizes get the likelier letter."""
        letters, left = [], list(self._fields)
        for axis, size in enumerate(shape):
            likely = left[axis:] + left[:axis] if len(left) == len(self) else left
            match = next((letter for letter in likely if getattr(self, letter) == size and size != 1), None)
            letters.append(match or str(size))
            left = [letter for letter in left if letter != match]
        return f"[{' '.join(letters)}] = {list(shape)}" if any(map(str.isalpha, letters)) else f"{list(shape)}"


def explain(error: Exception, sizes: Sizes) -> str:
    """Returns what happened and how to fix it."""
    text = " ".join(str(error).split("\n")[0].split())
    if message := typo(error):
        return message
    for kinds, message in TRACED:
        if isinstance(error, kinds):
            return message
    if isinstance(error, flax_errors.ScopeParamShapeError):
        return (
            "a parameter does not have the shape that it had in the first call; its shape may depend on the size of a "
            "key, on query_size and on hyperparameters, but not on the number of rows or positions"
        )
    if isinstance(error, flax_errors.NameInUseError):
        return "two parameters have the same name; give each `param` its own name"
    if "NoneType" in text:
        return (
            f"a value is None ({type(error).__name__}: {_short(text)}); history.weights and history.coverage are None "
            "unless the function is registered with remembers=True, and a function without `return` returns None"
        )
    if isinstance(error, TypeError | ValueError) and MISFIT.search(text):
        return f"{_misfit(text, sizes)}; in this call {sizes}"
    return f"{type(error).__name__}: {_short(text)}; in this call {sizes}"


COMPILED = "while the model is compiled an array has a shape but no values"
TRACED = (
    (
        jax.errors.TracerArrayConversionError,
        f"NumPy gets a JAX array, and {COMPILED}; use jax.numpy (jnp) instead of numpy (np)",
    ),
    (
        jax.errors.TracerBoolConversionError,
        f"Python's if, while, and, or, not or assert tests an array, and {COMPILED}; "
        "use jnp.where(condition, a, b), & and |",
    ),
    (
        jax.errors.NonConcreteBooleanIndexError,
        f"an array is indexed by a condition, and {COMPILED}; use jnp.where(condition, a, b)",
    ),
    (
        (jax.errors.ConcretizationTypeError, jax.errors.TracerIntegerConversionError),
        f"an array is converted to a Python number (by float, int, range or .item()), and {COMPILED}; "
        "use the array itself, or take sizes from .shape",
    ),
    (
        jax.errors.UnexpectedTracerError,
        "an array from an earlier call is used again; a function must not store arrays outside itself (to keep a "
        "state, return a StatefulComponent)",
    ),
)


def _short(text: str) -> str:
    return text if len(text) <= TEXT else text[:TEXT] + " ..."


def _misfit(text: str, sizes: Sizes) -> str:
    """Returns the shapes that a library's message names, with their letters."""
    shapes = [[int(size) for size in re.findall(r"\d+", group)] for group in re.findall(r"\(([\d, ]+)\)", text)]
    shapes = [shape for shape in shapes if shape]
    if len(shapes) < 2:
        return f"shapes do not fit: {_short(text)}"
    return f"{' and '.join(map(sizes.named, shapes[:2]))} do not fit together"
