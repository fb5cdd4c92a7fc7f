"""`attn-research config`: the config fields with type, range, choices and default."""

import argparse
import inspect
import itertools
import textwrap
from collections.abc import Iterator
from typing import Any

from attn_research.commands.arguments import WIDTH, add_command
from attn_research.commands.fields import Field, all_fields, describe_type, has_variants
from attn_research.config import Config
from attn_research.errors import UserError, nearest

EXAMPLES = """\

model.attention
model.attention.score
train"""


def add_parser(commands: Any) -> None:
    """Adds the command to the parser."""
    command = add_command(
        commands,
        "config",
        print_fields,
        "print the config fields with type, range, choices and default",
        EXAMPLES,
    )
    command.add_argument(
        "field", metavar="FIELD", nargs="?", help="one field, or all fields of a section, as model.attention or train"
    )


def print_fields(arguments: argparse.Namespace) -> int:
    """Prints all fields, those of a section, or one."""
    fields = {field.name: field for field in all_fields()}
    chosen = [field for field in fields.values() if _contains(arguments.field, field.name)]
    if not chosen:
        known = [*fields, *sections()]
        raise UserError(f"config has no field {arguments.field!r}; {nearest(arguments.field, known)}")
    for section, group in itertools.groupby(chosen, lambda field: field.name.rpartition(".")[0]):
        if arguments.field not in fields:
            print(f"{_title(section)}\n")
        for field in group:
            print("\n".join(_describe(field)), end="\n\n")
    return 0


def _contains(section: str | None, name: str) -> bool:
    return section is None or f"{name}.".startswith(f"{section}.")


def sections() -> list[str]:
    """Returns the names of the sections: data, model, model.encoder, ..."""
    names = [field.name.split(".")[:-1] for field in all_fields()]
    return sorted({".".join(name[: size + 1]) for name in names for size in range(len(name))})


def _title(section: str) -> str:
    """Returns the name of a section and the first sentence of its docstring."""
    part: Any = Config()
    for name in filter(None, section.split(".")):
        part = getattr(part, name)
    summary = " ".join((inspect.getdoc(type(part)) or "").split("\n\n")[0].split())
    title = f"{section or 'config'}: {summary}"
    return "\n".join([*textwrap.wrap(title, WIDTH), "-" * min(len(title), WIDTH)])


def _describe(field: Field) -> Iterator[str]:
    yield str(field)
    for text in (field.comment, _describe_values(field)):
        if text:
            yield textwrap.fill(text, WIDTH, initial_indent="    ", subsequent_indent="    ")


def _describe_values(field: Field) -> str:
    """Returns the type, the range and the choices of a field."""
    if not has_variants(field.hint):
        return describe_type(field.hint)
    from attn_research.variants import registry

    names = ", ".join(registry(field.name).functions)
    return f"{describe_type(field.hint)}: {names}; or your own, FILE.py:NAME"
