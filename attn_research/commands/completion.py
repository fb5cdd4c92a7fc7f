"""`attn-research completion`: a script that completes command lines in a shell."""

import argparse
from typing import Any

from attn_research.commands.arguments import add_command

EXAMPLES = """\
bash > ~/.local/share/bash-completion/completions/attn-research
zsh > ~/.zfunc/_attn-research
tcsh > ~/.attn-research.csh"""
INSTALLATION = """
bash reads its file in a new shell. For zsh, add `fpath+=~/.zfunc` before
`compinit` in ~/.zshrc; for tcsh, `source ~/.attn-research.csh` to ~/.tcshrc.
"""
FILES, DIRECTORIES = {"CONFIG", "EXPERIMENT", "FILE", "OUT.png"}, {"DIR", "RUN"}


def add_parser(commands: Any) -> None:
    """Adds the command to the parser."""
    command = add_command(
        commands,
        "completion",
        print_completion,
        "print a script that completes command lines in a shell",
        EXAMPLES,
        notes=INSTALLATION,
    )
    command.add_argument("shell", metavar="SHELL", choices=("bash", "zsh", "tcsh"), help="bash, zsh or tcsh")


def print_completion(arguments: argparse.Namespace) -> int:
    """Prints the script for one shell."""
    import shtab

    from attn_research.commands.parser import make_parser

    parser = make_parser()
    (commands,) = (action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    for command in commands.values():
        for action in command._actions:
            _set_completion(action)
    print(shtab.complete(parser, arguments.shell))
    return 0


def _set_completion(action: argparse.Action) -> None:
    """Sets what completes an argument, by its metavar: files, directories or config fields."""
    import shtab

    if action.metavar in FILES:
        action.complete = shtab.FILE  # type: ignore[attr-defined]
    elif action.metavar in DIRECTORIES:
        action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
    elif action.metavar == "FIELD":
        from attn_research.commands.config import sections
        from attn_research.commands.fields import all_fields

        action.choices = [*sections(), *(field.name for field in all_fields())]
