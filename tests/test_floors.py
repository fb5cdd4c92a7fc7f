"""The house: which package stands on which floor, and that imports only go down."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "attn_research"
FLOORS = {
    "registry": 0,
    "config": 0,
    "attention": 1,
    "data": 1,
    "metrics": 1,
    "runs": 1,
    "models": 2,
    "decoding": 3,
    "training": 4,
    "sweeps": 5,
    "reports": 5,
    "translator": 5,
    "commands": 6,
    "cli": 6,
    "__main__": 6,
}
SIDEWAYS = ({"registry", "config"}, {"__main__", "cli", "commands"})  # besides the modules of one package
MODULES = [path.relative_to(PACKAGE) for path in sorted(PACKAGE.rglob("*.py"))]


def imports(path: Path) -> set[str]:
    """Full names of everything imported anywhere in a file."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relative to itself"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def is_allowed(importing: str, imported: str) -> bool:
    if importing == imported or any({importing, imported} <= together for together in SIDEWAYS):
        return True
    return FLOORS[imported] < FLOORS[importing]


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_imports_go_down(module):
    names = imports(PACKAGE / module)
    assert not [name for name in names if name.split(".")[0] in ("configs", "experiments", "tests")]
    part = module.parts[0].removesuffix(".py")
    own = {name.split(".")[1] for name in names if name.startswith("attn_research.")}
    assert part == "__init__" or not [name for name in own if not is_allowed(part, name)]


def test_every_part_has_a_floor():
    assert {module.parts[0].removesuffix(".py") for module in MODULES} - {"__init__"} <= set(FLOORS)


def test_configs_know_nothing_of_experiments():
    for path in (ROOT / "configs").glob("*.py"):
        assert not [name for name in imports(path) if name.split(".")[0] not in ("attn_research", "pathlib")], path


def test_relation():
    assert is_allowed("models", "attention")
    assert is_allowed("attention", "attention")
    assert not is_allowed("attention", "models")
    assert not is_allowed("attention", "data")
    assert not is_allowed("reports", "sweeps")
