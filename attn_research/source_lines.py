"""Source lines of users' files, for error messages."""

import ast
import builtins
import difflib
import inspect
import linecache
import os
import sysconfig
import traceback
import types
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parent
LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
MAX_CODE = 90  # characters of a quoted line of code


class Line(NamedTuple):
    """One line of a file. As a string it is `file.py:3`, relative to the working directory if the file is below it."""

    file: str
    number: int

    def __str__(self):
        path = os.path.relpath(self.file)
        return f"{self.file if path.startswith('..') else path}:{self.number}"

    @property
    def code(self) -> str:
        """The text of the line, between backticks."""
        text = linecache.getline(self.file, self.number).strip()
        return f"`{text if len(text) <= MAX_CODE else text[:MAX_CODE] + ' ...'}`"


def file_of(function: Callable) -> str | None:
    """Returns the file that defines a function; None if there is none."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return os.path.abspath(code.co_filename) if code else None


def belongs(path: str, file: str) -> bool:
    """Returns whether the file `path` is in the folder of `file` or below, and not of this or an installed package."""
    if not Path(path).is_file():  # `<frozen importlib._bootstrap>` and the like
        return False
    try:
        beside = Path(path).resolve().relative_to(Path(file).resolve().parent)
    except ValueError:
        return False
    return PACKAGE not in Path(path).resolve().parents and "site-packages" not in beside.parts


def user_line(error: BaseException) -> Line | None:
    """Returns the line of a user's file that raised `error`, itself or in a library that it called.

    None if this package raised the error.
    """
    if isinstance(error, SyntaxError) and error.filename and error.lineno and _is_user_file(error.filename):
        return Line(error.filename, error.lineno)
    frames = traceback.extract_tb(error.__traceback__)
    own = [index for index, frame in enumerate(frames) if _is_package_file(frame.filename)]
    return _innermost(frames[own[-1] + 1 :] if own else frames, _is_user_file)


def raised_at(error: BaseException, file: str) -> Line | None:
    """Returns the innermost line of `file`, or of a file beside it, in the traceback; None if there is none."""
    return _innermost(traceback.extract_tb(error.__traceback__), lambda path: belongs(path, file))


def _innermost(frames: Iterable[traceback.FrameSummary], accepts: Callable[[str], bool]) -> Line | None:
    lines = [Line(frame.filename, frame.lineno) for frame in frames if frame.lineno and accepts(frame.filename)]
    return lines[-1] if lines else None


def _is_package_file(file: str) -> bool:
    return file.startswith(str(PACKAGE))


def _is_user_file(file: str) -> bool:
    return not _is_package_file(file) and not file.startswith(LIBRARIES) and Path(file).is_file()


def definition_of(function: Callable) -> Line:
    """Returns the first line of a function."""
    code = inspect.unwrap(function).__code__
    return Line(os.path.abspath(code.co_filename), code.co_firstlineno)


def return_of(function: Callable) -> Line:
    """Returns the line of the last `return` of a function; its first line if it has none."""
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
    """Yields all nodes except those inside nested functions and classes."""
    for node in nodes:
        yield node
        if not isinstance(node, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            yield from _own_nodes(ast.iter_child_nodes(node))


def typo(error: Exception) -> str | None:
    """Describes an unknown name, with the nearest known one; None for any other error."""
    if isinstance(error, NameError) and error.name:
        return f"the name {error.name!r} is not defined{_did_you_mean(error.name, _visible_names(error))}"
    if isinstance(error, AttributeError) and error.name:
        return f"{_describe(error.obj)} has no {error.name!r}{_did_you_mean(error.name, dir(error.obj))}"
    return None


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    match = difflib.get_close_matches(name, [one for one in known if one != name], n=1)
    return f"; did you mean {match[0]}?" if match else ""


def _visible_names(error: NameError) -> set[str]:
    innermost = [frame for frame, _ in traceback.walk_tb(error.__traceback__)][-1]
    return {*innermost.f_locals, *innermost.f_globals, *dir(builtins)}


def _describe(value: object) -> str:
    if isinstance(value, types.ModuleType):
        return value.__name__
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return "an array"
    return "None" if value is None else f"{type(value).__name__} {getattr(value, '__name__', '')}".strip()


def import_error(error: Exception, file: str) -> str:
    """Describes why a file cannot be imported, with the line if it is known."""
    kind = type(error).__name__
    line: Line | None
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        line, text = Line(os.path.abspath(error.filename), error.lineno), error.msg
    else:
        line, text = raised_at(error, file), typo(error) or str(error)
    return f"{line}: in {line.code}, {text} ({kind})" if line else f"{kind}: {text}"
