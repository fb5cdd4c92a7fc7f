"""`attn-research scores`: every variant with its equation, source, parameters and cost."""

import argparse

from attn_research.commands.console import print_markdown
from attn_research.errors import UserError
from attn_research.registry import Spec


def scores(arguments: argparse.Namespace) -> int:
    """Prints all variants, or one; draws what it looks at if asked to."""
    from attn_research.reports import variants

    if arguments.variant is None:
        if arguments.plot is not None:
            raise UserError(
                "--plot draws one variant, so it needs its name, as in `attn-research scores concat --plot`"
            )
        print_markdown(variants.INTRODUCTION + variants.render_page(variants.variants()))
        return 0
    spec = Spec(arguments.variant)
    kind = variants.find_kind(spec)
    print_markdown(variants.render_page({kind: [variants.describe(kind, spec)]}))
    if arguments.plot is not None:
        from attn_research.reports.figures import attention_maps

        if not variants.has_weights(kind):
            raise UserError(f"--plot draws attention weights, which {kind}={spec} has no part in")
        print(*attention_maps({str(spec): variants.example(kind.rpartition(".")[2], spec)}, arguments.plot), sep="\n")
    return 0
