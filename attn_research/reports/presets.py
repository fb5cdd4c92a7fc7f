"""The page of presets: the config fields that each one sets."""

import textwrap

from attn_research.presets import PRESETS
from attn_research.reports.render import markdown_code, markdown_escape

INTRODUCTION = (
    "A preset sets the attention and the decoder as in a well-known system. Write `preset:NAME` among the changes of a "
    "command line, as in `attn-research train configs/dates.py preset:fairseq seed=2`. Every preset sets {shared}. A "
    "preset without a cell keeps the cell of the config."
)


def render_presets() -> str:
    """Returns a Markdown table with a row for each preset and a column for each field in which presets differ."""
    fields = dict.fromkeys(field for preset in PRESETS.values() for field in preset)
    shared = {field: next(iter(PRESETS.values())).get(field) for field in fields if _is_shared(field)}
    columns = [field for field in fields if field not in shared]
    head = ["preset", *(markdown_code(field.removeprefix("model.")) for field in columns)]
    rows = [[markdown_code(name), *(_cell(preset, field) for field in columns)] for name, preset in PRESETS.items()]
    lines = [_line(head), _line(["---"] * len(head)), *map(_line, rows)]
    assignments = ", ".join(markdown_code(f"{field}={value}") for field, value in shared.items())
    introduction = textwrap.fill(INTRODUCTION.format(shared=assignments), 120, break_on_hyphens=False)
    return "\n".join(["", "## Presets", "", introduction, "", *lines, ""])


def _is_shared(field: str) -> bool:
    return len({repr(preset.get(field, ...)) for preset in PRESETS.values()}) == 1


def _cell(preset: dict, field: str) -> str:
    return markdown_code(str(preset[field])) if field in preset else markdown_escape("–")


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
