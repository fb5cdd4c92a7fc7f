"""`attn-research check`: the laws of attention, tried on a user's own function."""

import argparse
import sys
from typing import TYPE_CHECKING

from attn_research.config import Config, override

if TYPE_CHECKING:
    from attn_research.attention.laws import Verdict

COLORS = {"passed": "32", "failed": "31", "untried": "33", "  --  ": "2"}


def check(arguments: argparse.Namespace) -> int:
    """Prints every law with what came of it; 1 if one failed."""
    specs = {name: getattr(arguments, name) for name in ("score", "normalizer", "window")}
    changes = {f"model.attention.{name}": spec for name, spec in specs.items() if spec is not None}
    attention = override(Config(), changes).model.attention
    from attn_research.attention.laws import check as tried
    from attn_research.attention.laws import notes

    result: dict[str, list[Verdict]] = {word: [] for word in COLORS}
    for verdict in tried(attention):
        word = _word(verdict)
        result[word].append(verdict)
        print(f"{_colored(word)}  {verdict.law}: {verdict.description}", flush=True)
        if verdict.violation:
            print("        " + verdict.violation.replace("\n", " "), flush=True)
    passed, failed, skipped, silent = result.values()
    for note in () if failed else notes(attention):
        print(f"note    {note}")
    print(f"{len(passed)} passed, {len(failed)} failed")
    if skipped:
        print(f"{len(skipped)} not tried, because {skipped[0].skipped!r} failed: {_names(skipped)}")
    if silent:
        print(f"does not apply: {_names(silent)}")
    return 1 if failed else 0


def _names(verdicts: "list[Verdict]") -> str:
    return ", ".join(verdict.law for verdict in verdicts)


def _word(verdict: "Verdict") -> str:
    if verdict.passed is None:
        return "untried" if verdict.skipped else "  --  "
    return "passed" if verdict.passed else "failed"


def _colored(word: str) -> str:
    return f"\033[{COLORS[word]}m{word}\033[0m" if sys.stdout.isatty() else word
