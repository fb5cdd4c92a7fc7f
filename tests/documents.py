"""The commands, code blocks, links and paths of the documents."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
FOLDERS = "attn_research|benchmarks|configs|docs|experiments|tests"


def commands(text: str) -> list[str]:
    """The indented lines outside of code blocks, without their comments."""
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return [re.split(r"\s+# ", line)[0].strip() for line in re.findall(r"^ {4}(\w.*)$", outside, re.MULTILINE)]


def code_blocks(text: str) -> list[str]:
    """The text of every block of Python code."""
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def links(text: str) -> list[str]:
    """The targets of links that are no addresses, without anchors."""
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    return [target for target in targets if "://" not in target]


def paths(text: str) -> list[str]:
    """What stands in backticks and begins like a path of this repository."""
    return re.findall(rf"`((?:{FOLDERS})/[\w./-]*)`", text)
