"""`attn-research scores`: every variant with its equation, source, parameters and cost, and every preset."""

import argparse
from typing import Any

from attn_research.commands.arguments import add_command
from attn_research.commands.console import print_markdown
from attn_research.errors import UserError
from attn_research.registry import Spec

EXAMPLES = """\

'concat(units=64)'
preset:opennmt_mlp
concat --plot
my_scores.py:cosine --plot cosine.png"""

PRESET = "preset:"


def add_parser(commands: Any) -> None:
    """Adds the command to the parser."""
    command = add_command(
        commands,
        "scores",
        scores,
        "print every variant with its equation, source, parameters and cost, and every preset",
        EXAMPLES,
    )
    command.add_argument(
        "variant", metavar="NAME", nargs="?", help="one variant, one preset (preset:NAME), or your own score"
    )
    command.add_argument(
        "--plot",
        metavar="OUT.png",
        nargs="?",
        const="weights.png",
        help="draw the weights of one variant, with random parameters (default: weights.png)",
    )


def scores(arguments: argparse.Namespace) -> int:
    """Prints all variants and presets, or one of them, and draws its attention weights with `--plot`."""
    name, plot = arguments.variant, arguments.plot
    if name is None and plot is not None:
        raise UserError("--plot draws one variant, so it needs a name, as in `attn-research scores concat --plot`")
    if name is None:
        _print_all()
    elif name.startswith(PRESET):
        if plot is not None:
            raise UserError(f"--plot draws one variant, and {name} sets several")
        _print_preset(name.removeprefix(PRESET))
    else:
        _print_variant(Spec(name), plot)
    return 0


def _print_all() -> None:
    from attn_research.reports import presets, variants

    print_markdown(variants.INTRODUCTION + variants.render_page(variants.variants()) + presets.render_presets())


def _print_preset(name: str) -> None:
    from attn_research.presets import preset

    for field, value in preset(name).items():
        print(f"{field}={value}")


def _print_variant(spec: Spec, plot: str | None) -> None:
    from attn_research.reports import variants

    kind = variants.find_kind(spec)
    print_markdown(variants.render_page({kind: [variants.describe(kind, spec)]}))
    if plot is None:
        return
    from attn_research.reports.figures import attention_maps

    if not variants.has_weights(kind):
        raise UserError(f"--plot draws attention weights, and {kind}={spec} has none")
    print(*attention_maps({str(spec): variants.example(kind.rpartition(".")[2], spec)}, plot), sep="\n")
