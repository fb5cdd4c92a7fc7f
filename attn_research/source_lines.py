"""Lines of a user's own files, for messages about what stands there."""

import ast
import builtins
import difflib
import inspect
import linecache
import os
import traceback
import types
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parent
MAX_CODE = 90  # characters of a line of code


class Line(NamedTuple):
    """One line of a file."""

    file: str
    number: int

    def __str__(self):
        path = os.path.relpath(self.file)
        return f"{self.file if path.startswith('..') else path}:{self.number}"

    @property
    def code(self) -> str:
        """What stands there, between backticks."""
        text = linecache.getline(self.file, self.number).strip()
        return f"`{text if len(text) <= MAX_CODE else text[:MAX_CODE] + ' ...'}`"


def file_of(function: Callable) -> str | None:
    """The file that a function was written in."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return os.path.abspath(code.co_filename) if code else None


def belongs(path: str, file: str) -> bool:
    """Whether `path` stands beside `file` or below, and is neither this package's nor an installed one's."""
    try:
        beside = Path(path).resolve().relative_to(Path(file).resolve().parent)
    except ValueError:
        return False
    return PACKAGE not in Path(path).resolve().parents and "site-packages" not in beside.parts


def raised_at(error: BaseException, file: str) -> Line | None:
    """The innermost line of `file`, or of a file beside it, through which an error came."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if belongs(frame.filename, file)]
    return Line(frames[-1].filename, frames[-1].lineno) if frames else None


def definition_of(function: Callable) -> Line:
    """Where a function begins."""
    code = inspect.unwrap(function).__code__
    return Line(os.path.abspath(code.co_filename), code.co_firstlineno)


def return_of(function: Callable) -> Line:
    """The last `return` of a function; where it begins, if it has none."""
    start = definition_of(function)
    try:
        tree = ast.parse(Path(start.file).read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError):
        return start
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and start.number in (
            node.lineno,
            *(decorator.lineno for decorator in node.decorator_list),
        ):
            returns = [inner.lineno for inner in _own_nodes(node.body) if isinstance(inner, ast.Return)]
            return Line(start.file, max(returns, default=node.lineno))
    return start


def _own_nodes(nodes: Iterable[ast.AST]) -> Iterable[ast.AST]:
    """All nodes but those inside of other functions."""
    for node in nodes:
        yield node
        if not isinstance(node, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            yield from _own_nodes(ast.iter_child_nodes(node))


def typo(error: Exception) -> str | None:
    """What an unknown name may have been meant for; None for another error."""
    if isinstance(error, NameError) and error.name:
        return f"the name {error.name!r} is not defined{_closest(error.name, _visible(error))}"
    if isinstance(error, AttributeError) and error.name:
        return f"{_thing(error.obj)} has no {error.name!r}{_closest(error.name, dir(error.obj))}"
    return None


def _closest(name: str, known: Iterable[str]) -> str:
    match = difflib.get_close_matches(name, [one for one in known if one != name], n=1)
    return f"; did you mean {match[0]}?" if match else ""


def _visible(error: NameError) -> set[str]:
    step = error.__traceback__
    while step.tb_next:
        step = step.tb_next
    return {*step.tb_frame.f_locals, *step.tb_frame.f_globals, *dir(builtins)}


def _thing(value: object) -> str:
    if isinstance(value, types.ModuleType):
        return value.__name__
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return "an array"
    return "None" if value is None else f"{type(value).__name__} {getattr(value, '__name__', '')}".strip()


def import_error(error: Exception, file: str) -> str:
    """Why a file cannot be imported, with the line where that is known."""
    kind = type(error).__name__
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        line, text = Line(os.path.abspath(error.filename), error.lineno), error.msg
    else:
        line, text = raised_at(error, file), typo(error) or str(error)
    return f"{line}: in {line.code}, {text} ({kind})" if line else f"{kind}: {text}"
