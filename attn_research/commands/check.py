"""`attn-research check`: the laws of attention on a user's own function."""

import argparse
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from attn_research.commands.arguments import add_command
from attn_research.config import Config, override

if TYPE_CHECKING:
    from attn_research.attention.laws import Verdict

EXAMPLES = """\
my_scores.py:cosine
'my_scores.py:cosine(temperature=5.0)' --window my_windows.py:near
general --normalizer my_normalizers.py:sharp"""
COLORS = {"passed": "32", "failed": "31", "untried": "33", "  --  ": "2"}


def add_parser(commands: Any) -> None:
    """Adds the command to the parser."""
    command = add_command(
        commands, "check", check, "check the laws of attention on your own score, normalizer or window", EXAMPLES
    )
    command.add_argument("score", metavar="SCORE", help="your own score, FILE.py:NAME, or the name of a built-in one")
    command.add_argument("--normalizer", metavar="NAME", help="maps its logits to weights (default: softmax)")
    command.add_argument("--window", metavar="NAME", help="limits the positions of a step (default: all positions)")


def check(arguments: argparse.Namespace) -> int:
    """Prints the verdict of every law; returns 1 if one failed."""
    specs = {name: getattr(arguments, name) for name in ("score", "normalizer", "window")}
    changes = {f"model.attention.{name}": spec for name, spec in specs.items() if spec is not None}
    attention = override(Config(), changes).model.attention
    from attn_research.attention import laws

    verdicts: dict[str, list[Verdict]] = {word: [] for word in COLORS}
    for verdict in laws.check(attention):
        verdicts[_word(verdict)].append(verdict)
        _print_verdict(verdict)
    passed, failed, skipped, silent = verdicts.values()
    for note in () if failed else laws.notes(attention):
        print(f"note    {note}")
    print(f"{len(passed)} passed, {len(failed)} failed")
    if skipped:
        print(f"{len(skipped)} not tried, because {skipped[0].skipped!r} failed: {_names(skipped)}")
    if silent:
        print(f"does not apply: {_names(silent)}")
    return 1 if failed else 0


def _print_verdict(verdict: "Verdict") -> None:
    word = _word(verdict)
    colored = f"\033[{COLORS[word]}m{word}\033[0m" if sys.stdout.isatty() else word
    print(f"{colored}  {verdict.law}: {verdict.description}", flush=True)
    if verdict.violation:
        print("        " + verdict.violation.replace("\n", " "), flush=True)


def _word(verdict: "Verdict") -> str:
    if verdict.passed is None:
        return "untried" if verdict.skipped else "  --  "
    return "passed" if verdict.passed else "failed"


def _names(verdicts: "Iterable[Verdict]") -> str:
    return ", ".join(verdict.law for verdict in verdicts)
