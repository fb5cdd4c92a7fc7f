"""Python modules of users: finds their files and imports, and imports modules of the same name separately.

A module is named by the path of a .py file or by its dotted name. Its files are its own and those that it imports,
directly or indirectly, from its folder, its package, or the folders on `sys.path` that hold no installed packages.
"""

import ast
import functools
import hashlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import itertools
import sys
import sysconfig
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from attn_research.errors import UserError
from attn_research.source_lines import import_error

PACKAGE = "attn_research"
INSTALLED = ("site-packages", "dist-packages")  # folders of installed packages
INIT = "__init__.py"


class File(NamedTuple):
    """A file of user code and its text when it was read."""

    path: Path
    text: bytes


class Source(NamedTuple):
    """A user's module: its own file and the files that it imports, by dotted name."""

    name: str
    files: Mapping[str, File]

    @property
    def main(self) -> File:
        """The module's own file."""
        return self.files[self.name]

    @property
    def main_path(self) -> str:
        """The path of the main file relative to its import folder: `scores.py` or `pkg/scores.py`."""
        return self._relative(self.name)

    def texts(self) -> dict[str, bytes]:
        """Returns the text of each file by its relative path."""
        return {self._relative(name): file.text for name, file in self.files.items()}

    def _relative(self, name: str) -> str:
        path = self.files[name].path
        if name == self.name and "." not in name:
            return path.name
        return name.replace(".", "/") + (f"/{INIT}" if path.name == INIT else ".py")

    def hashes(self) -> dict[str, str]:
        """Returns the first 16 hex digits of the sha256 of each text, by relative path."""
        return {path: hashlib.sha256(text).hexdigest()[:16] for path, text in sorted(self.texts().items())}


def read(module: str) -> Source:
    """Reads the files of `module` as they are now, without importing them.

    Raises:
      UserError: the file or module does not exist.
    """
    try:
        return _read_file(Path(module).resolve(strict=True)) if module.endswith(".py") else _read_dotted(module)
    except (OSError, ModuleNotFoundError) as error:
        raise _cannot_import(module, error) from error


def _cannot_import(module: str, error: Exception) -> UserError:
    return UserError(f"cannot import {module!r}: {type(error).__name__}: {error}")


def _read_file(path: Path) -> Source:
    text, top = path.read_bytes(), path.parent
    while (top / INIT).is_file():
        top = top.parent
    name = f"{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"  # unique
    if top != path.parent and _has_relative_import(text):
        name = ".".join(path.relative_to(top).with_suffix("").parts)
    return Source(name, _closure(name, path, [path.parent, top, *_roots()]))


def _read_dotted(module: str) -> Source:
    roots = [Path.cwd(), *map(Path, filter(None, sys.path))]
    path = _locate(module, roots)
    if path is None:
        raise ModuleNotFoundError(f"No module named {module!r}")
    top = path.parents[module.count(".") + (path.name == INIT)]
    if _is_installed(top):
        return Source(module, _closure(module, path, [top], within=module.partition(".")[0]))
    return Source(module, _closure(module, path, [top, *_roots()]))


def _roots() -> list[Path]:
    """Returns the folders, besides the file's own, that may hold modules of the user."""
    standard = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
    folders = dict.fromkeys([Path.cwd(), *map(Path, filter(None, sys.path))])
    return [folder for folder in folders if folder.is_dir() and not _is_installed(folder) and folder not in standard]


def _is_installed(folder: Path) -> bool:
    return any(part in INSTALLED for part in folder.parts) or folder.name == "lib-dynload"


def _locate(name: str, roots: list[Path]) -> Path | None:
    for base in (root.joinpath(*name.split(".")) for root in roots):
        for path in (base / INIT, base.parent / f"{base.name}.py"):
            if path.is_file():
                return path
    return None


def _closure(name: str, path: Path, roots: list[Path], within: str = "") -> dict[str, File]:
    """Returns the file and its imports from `roots`. If `within` is set, only modules of that package."""
    files, queue = {name: File(path, path.read_bytes())}, [name, *_parents(name)]
    while queue:
        current = queue.pop()
        if current not in files:
            top = current.partition(".")[0]
            foreign = top == PACKAGE or top in sys.stdlib_module_names or (within and top != within)
            located = None if foreign else _locate(current, roots)
            if located is None:
                continue
            files[current] = File(located, located.read_bytes())
        file = files[current]
        package = current if file.path.name == INIT else current.rpartition(".")[0]
        names = _imported_names(file.text, package)
        queue += [one for one in itertools.chain(*([n, *_parents(n)] for n in names)) if one not in files]
    return files


def _parents(name: str) -> list[str]:
    return [parent for parent in itertools.accumulate(name.split("."), "{}.{}".format) if parent != name]


@functools.lru_cache(maxsize=256)
def _imported_names(text: bytes, package: str) -> tuple[str, ...]:
    """Returns the dotted names of all imports in a file, also those inside functions."""
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError, RecursionError):  # the import reports it
        return ()
    return tuple(itertools.chain(*(_names(node, package) for node in nodes)))


def _names(node: ast.AST, package: str) -> Iterator[str]:
    match node:
        case ast.Import():
            yield from (alias.name for alias in node.names)
        case ast.ImportFrom():
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join(filter(None, [*above, node.module]))
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        case ast.Call(args=[ast.Constant(value=str(name)), *_]) if "import" in ast.unparse(node.func):
            if all(part.isidentifier() for part in name.split(".")):
                yield name


@functools.lru_cache(maxsize=256)
def _has_relative_import(text: bytes) -> bool:
    try:
        return any(isinstance(node, ast.ImportFrom) and node.level for node in ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError, RecursionError):
        return False


_modules: dict[tuple[str, Path], tuple[Source, types.ModuleType]] = {}


def load(module: str) -> types.ModuleType:
    """Imports `module`, once per process, from the texts that `read` returns.

    Raises:
      UserError: the module does not exist or cannot be imported.
    """
    key = module, Path.cwd()
    if key not in _modules:
        source = read(module)
        try:
            _modules[key] = source, _execute(module, source)
        except Exception as error:
            raise UserError(f"cannot import {module!r}: {import_error(error, str(source.main.path))}") from error
    return _modules[key][1]


def drop_edited() -> bool:
    """Forgets the modules whose files changed after their import, so that the next `load` imports them again.

    The caller must also drop the programs compiled from them.

    Returns:
      Whether there were any.
    """
    edited = [key for key, (source, _) in _modules.items() if any(map(_is_edited, source.files.values()))]
    for key in edited:
        del _modules[key]
    return bool(edited)


def _is_edited(file: File) -> bool:
    return not file.path.is_file() or file.path.read_bytes() != file.text


def _execute(module: str, source: Source) -> types.ModuleType:
    """Imports a source. Removes a file's modules from `sys.modules`: another folder may have others of that name."""
    if _is_installed(source.main.path) or module.partition(".")[0] == PACKAGE:
        return importlib.import_module(module)
    before = {name: sys.modules.pop(name) for name in _module_names(source) if name in sys.modules}
    finder = _Finder(source)
    sys.meta_path.insert(0, finder)
    try:
        return importlib.import_module(source.name)
    finally:
        sys.meta_path.remove(finder)
        if module.endswith(".py"):
            for name in _module_names(source):
                sys.modules.pop(name, None)
        sys.modules.update(before)


def _module_names(source: Source) -> set[str]:
    return set(source.files) | set(itertools.chain(*map(_parents, source.files)))


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules of one `Source` before any other module of the same name."""

    def __init__(self, source: Source):
        self.files, self.module_names = source.files, _module_names(source)

    def find_spec(self, name, path=None, target=None):
        if name in self.files:
            file = self.files[name]
            within = [str(file.path.parent)] if file.path.name == INIT else None
            loader = _Loader(name, file)
            return importlib.util.spec_from_file_location(
                name, file.path, loader=loader, submodule_search_locations=within
            )
        if name in self.module_names:  # a namespace package
            spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = []
            return spec
        return None


class _Loader(importlib.machinery.SourceFileLoader):
    """Runs the text that was read. Ignores cached bytecode, whose time stamp has a resolution of one second only."""

    def __init__(self, name: str, file: File):
        super().__init__(name, str(file.path))
        self.text = file.text

    def path_stats(self, path):
        raise OSError

    def get_data(self, path):
        return self.text
