"""The layers of the package: imports only go down. Requirements match imports and lock files."""

import ast
import configparser
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "attn_research"
LAYERS = {
    "source_lines": -2,
    "errors": -1,
    "annotations": 0,
    "storage": 0,
    "normal_form": 0,
    "registry": 0,
    "user_modules": 0,
    "presets": 0,
    "config": 0,
    "variants": 0.5,
    "attention": 1,
    "data": 1,
    "metrics": 1,
    "runs": 1,
    "models": 2,
    "decoding": 3,
    "training": 4,
    "sweeps": 5,
    "reports": 5,
    "loading": 4.5,
    "importing": 5,
    "translator": 5,
    "evaluator": 5.5,
    "web": 5.5,
    "commands": 6,
    "cli": 6,
    "__main__": 6,
}
# Modules that may import each other, in addition to the modules of one package.
SAME_LAYER = (
    {"annotations", "registry", "presets", "config", "user_modules"},
    {"__main__", "cli", "commands"},
)
MODULES = [path.relative_to(PACKAGE) for path in sorted(PACKAGE.rglob("*.py"))]


def imports(path: Path) -> set[str]:
    """Returns the full names of all imports in a file."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relative to itself"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def is_allowed(importing: str, imported: str) -> bool:
    if importing == imported or any({importing, imported} <= together for together in SAME_LAYER):
        return True
    return LAYERS[imported] < LAYERS[importing]


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_imports_go_down(module):
    names = imports(PACKAGE / module)
    assert not [name for name in names if name.split(".")[0] in ("configs", "experiments", "tests")]
    part = module.parts[0].removesuffix(".py")
    own = {name.split(".")[1] for name in names if name.startswith("attn_research.")}
    assert part == "__init__" or not [name for name in own if not is_allowed(part, name)]


def test_every_module_has_a_layer():
    assert {module.parts[0].removesuffix(".py") for module in MODULES} - {"__init__"} <= set(LAYERS)


def test_configs_import_only_the_package():
    for path in (ROOT / "configs").glob("*.py"):
        assert not [name for name in imports(path) if name.split(".")[0] not in ("attn_research", "pathlib")], path


def test_the_layer_relation_allows_only_lower_layers():
    assert is_allowed("models", "attention")
    assert is_allowed("attention", "attention")
    assert not is_allowed("attention", "models")
    assert not is_allowed("attention", "data")
    assert not is_allowed("reports", "sweeps")


def requirements(option: str) -> set[str]:
    """Returns the packages that setup.cfg requires."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    section, _, name = option.rpartition("/")
    return {plain(re.match(r"[\w-]+", line).group()) for line in setup[section][name].split("\n") if line}


def bounds(option: str) -> dict[str, str]:
    """Returns the lower bound of every required package; "" if it has none."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    section, _, name = option.rpartition("/")
    actual = [
        re.fullmatch(r"([\w-]+)(?: >= ([\w.]+))?(, < [\d.]+)?", line) for line in setup[section][name].split("\n")[1:]
    ]
    return {plain(match[1]): match[2] or "" for match in actual}


@pytest.mark.parametrize("option", ["options/install_requires", "options.extras_require/test"])
def test_lower_bounds_of_requirements_are_tested_versions(option):
    lines = (ROOT / "requirements-lowest.lock").read_text(encoding="utf-8").split("\n")
    tried = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    tried = {plain(name): version for name, version in tried.items()}
    assert bounds(option) == {name: tried[name] for name in requirements(option)}


def plain(package: str) -> str:
    return package.lower().replace("_", "-")


def test_every_imported_package_is_required():
    names = {name.split(".")[0] for module in MODULES for name in imports(PACKAGE / module)}
    others = names - set(sys.stdlib_module_names) - {"attn_research"}
    packages = {plain(package) for name in others for package in packages_distributions()[name]}
    assert packages <= requirements("options/install_requires")


def test_every_required_package_is_locked():
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").split("\n")
    locked = {plain(line.split("==")[0]) for line in lines if re.fullmatch(r"[\w-]+==[\w.]+", line)}
    assert len(locked) == len([line for line in lines if line and not line.startswith("#")])
    assert requirements("options/install_requires") | requirements("options.extras_require/test") <= locked
    assert "torch" not in locked
