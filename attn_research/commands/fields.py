"""The fields of a config with their comments, read from the source of its dataclasses."""

import ast
import dataclasses
import functools
import inspect
import io
import textwrap
import tokenize
import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

from attn_research import annotations
from attn_research.commands.arguments import WIDTH
from attn_research.config import Config
from attn_research.registry import Spec

COLUMN = 42  # of the comments in an overview


class Field(NamedTuple):
    """One field of a config."""

    name: str  # dotted, as in model.attention.score
    hint: Any  # its annotation
    default: Any
    comment: str

    def __str__(self) -> str:
        """Returns `name=default`, as on a command line."""
        return f"{self.name}={self.default}"


def all_fields(config: Any = Config(), prefix: str = "") -> Iterator[Field]:  # noqa: B008 (a frozen value)
    """Yields every field, in the order of the schema."""
    hints = typing.get_type_hints(type(config), include_extras=True)
    comments = read_comments(type(config))  # type: ignore[arg-type]  # mypy: type[Any] is not hashable
    for item in dataclasses.fields(config):
        name, value = prefix + item.name, getattr(config, item.name)
        if dataclasses.is_dataclass(value):
            yield from all_fields(value, f"{name}.")
        else:
            yield Field(name, hints[item.name], value, comments.get(item.name, ""))


@functools.cache
def read_comments(part: type) -> dict[str, str]:
    """Returns the comment of each field of a dataclass: the one on its own lines, else the lines above it."""
    source = textwrap.dedent(inspect.getsource(part))
    comments = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    own_lines = {number for number, line in enumerate(source.splitlines(), 1) if line.lstrip().startswith("#")}
    return {
        node.target.id: " ".join(_comment_lines(node, comments, own_lines))
        for definition in ast.parse(source).body
        if isinstance(definition, ast.ClassDef)
        for node in definition.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }


def _comment_lines(node: ast.AnnAssign, comments: dict[int, str], own_lines: set[int]) -> list[str]:
    if beside := [
        comments[number] for number in range(node.lineno, (node.end_lineno or node.lineno) + 1) if number in comments
    ]:
        return beside
    first = node.lineno
    while first - 1 in own_lines:
        first -= 1
    return [comments[number] for number in range(first, node.lineno)]


def format_overview() -> str:
    """Returns a line for each field: `name=default` and its comment."""
    return "\n".join(map(_format_line, all_fields()))


def _format_line(field: Field) -> str:
    first = f"  {field}"
    indent = " " * COLUMN
    comment = textwrap.fill(field.comment, WIDTH, initial_indent=indent, subsequent_indent=indent)
    if len(first) < COLUMN - 1:
        return (first.ljust(COLUMN) + comment[COLUMN:]).rstrip()
    return f"{first}\n{comment}".rstrip()


def describe_type(hint: Any) -> str:
    """Returns the type and range of an annotation: `int, at least 1 and at most 64`, `None or int`, `one of a, b`."""
    origin, options = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        ranges = [str(one) for one in hint.__metadata__ if isinstance(one, annotations.Range)]
        return ", ".join([describe_type(options[0]), *ranges])
    if origin in (typing.Union, types.UnionType):
        return " or ".join(sorted(map(describe_type, options), key="None".__ne__))
    if origin is typing.Literal:
        return f"one of {', '.join(map(str, options))}"
    return "variant" if hint is Spec else annotations.describe(hint)


def has_variants(hint: Any) -> bool:
    """Whether a field names a variant of a registry."""
    return hint is Spec or Spec in typing.get_args(hint)
