"""What a question is: rows of a table, and the sides that are measured against each other in each row."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

OURS = "attn-research"


class PreparedSide(NamedTuple):
    """A side that has been set up."""

    run: Callable[[], Any] | None  # a unit of work, which ends when its results are there; None: nothing is timed
    facts: dict[str, Any]  # JSON values that the setup has found out


class SideSpec(NamedTuple):
    """One side of a row; it is set up in a process of its own."""

    target: str  # "module:function", called as function(directory, **arguments) -> PreparedSide
    arguments: Mapping[str, Any]
    needs: str | None = None  # a package without which the side is left out
    environment: Mapping[str, str] = MappingProxyType({})  # what its process is started with besides


class Question(NamedTuple):
    """Its answer is a record, from which `table` makes Markdown."""

    rows: Callable[
        [bool], Mapping[str, Mapping[str, SideSpec]]
    ]  # full -> {row: {side: spec}}, the first side set up first
    table: Callable[[Mapping[str, Any]], str]
    blocks: int | None = None  # quiet blocks a repetition, where a unit of work is itself long; None: those of the plan
