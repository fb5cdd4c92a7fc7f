"""`attn-research check`: the laws of attention, tried on a user's own function."""

import argparse
import sys

from attn_research.config import Config, override

MARKS = {True: ("passed", "32"), False: ("failed", "31"), None: ("  --  ", "2")}  # a word and its colour


def check(arguments: argparse.Namespace) -> int:
    """Prints every law with what came of it; 1 if one failed."""
    pieces = {name: getattr(arguments, name) for name in ("score", "normalizer", "window")}
    changes = {f"model.attention.{name}": spec for name, spec in pieces.items() if spec is not None}
    attention = override(Config(), changes).model.attention
    from attn_research.attention.laws import check as tried

    verdicts = []
    for verdict in tried(attention):
        verdicts.append(verdict)
        print(f"{_mark(verdict.passed)}  {verdict.law}: {verdict.says}", flush=True)
        if verdict.case:
            print("        " + verdict.case.replace("\n", " "), flush=True)
    failed = sum(verdict.passed is False for verdict in verdicts)
    untried = sum(verdict.passed is None for verdict in verdicts)
    print(f"{len(verdicts) - failed - untried} passed, {failed} failed, {untried} not for this variant")
    return 1 if failed else 0


def _mark(passed: bool | None) -> str:
    word, colour = MARKS[passed]
    return f"\033[{colour}m{word}\033[0m" if sys.stdout.isatty() else word
