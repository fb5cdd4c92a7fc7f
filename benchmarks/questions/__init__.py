"""The questions that the benchmarks answer, one module each, and the types that a question consists of."""

import importlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from attn_research.errors import UserError, nearest

OURS = "attn-research"
QUESTIONS = (
    "step",
    "scores",
    "scan",
    "no_feeding",
    "peak",
    "growth",
    "additive",
    "padding",
    "start",
    "decoding",
    "translate",
    "sweep",
)


class PreparedSide(NamedTuple):
    """A side after its setup."""

    run: Callable[[], Any] | None  # one unit of work; returns when its results are ready. None: nothing is timed
    facts: dict[str, Any]  # JSON values that the setup measured


class SideSpec(NamedTuple):
    """One side of a row. Each side runs in its own process."""

    target: str  # "module:function", called as function(directory, **arguments) -> PreparedSide
    arguments: Mapping[str, Any]
    needs: str | None = None  # a package; without it the side is skipped
    environment: Mapping[str, str] = MappingProxyType({})  # additional environment variables of the process


Rows = Mapping[str, Mapping[str, SideSpec]]  # {row: {side: spec}}; the first side of a row is set up first


class Question(NamedTuple):
    """The rows to measure, and the table of the resulting record."""

    rows: Callable[[bool], Rows]  # called with True for all rows, with False for a quick selection
    table: Callable[[Mapping[str, Any]], str]  # record -> Markdown
    blocks: int | None = None  # quiet blocks per repetition, for long units of work. None: as the plan says


def load_question(name: str) -> Question:
    """Returns the question with this name.

    Raises:
      UserError: the name is unknown; the message has the nearest one.
    """
    if name not in QUESTIONS:
        raise UserError(f"no question {name!r}; {nearest(name, QUESTIONS)}")
    return importlib.import_module(f"benchmarks.questions.{name}").question
