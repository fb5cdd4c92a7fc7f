"""`attn-research tune`: the tuning trials of an experiment, and the setting that each row took."""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attn_research.commands.arguments import add_command
from attn_research.commands.console import print_error, print_markdown
from attn_research.commands.experiment import add_experiment, committed_file, read_experiment
from attn_research.commands.experiment_records import load_tuning
from attn_research.errors import UserError

if TYPE_CHECKING:
    from attn_research.sweeps.tuning import Choice, Tuning

EXAMPLES = """\
experiments/score_functions.py
experiments/score_functions.py --plot
experiments/attention_zoo.py --tune train.learning_rate=2e-3,5e-3,1e-2"""
LOG_FROM = 4  # ratio of the largest to the smallest value
NOTE = "Bold: the chosen setting. Mean over the tuning seeds at the best checkpoint; –: a trial diverged."


def add_parser(commands: Any) -> None:
    """Adds the command to the parser."""
    command = add_command(
        commands, "tune", tune, "print the dev metric of every row of an experiment with every tuned setting", EXAMPLES
    )
    add_experiment(command)
    command.add_argument("--plot", action="store_true", help="draw the dev metric against the tuned field")


def tune(arguments: argparse.Namespace) -> int:
    """Prints or draws the trials; returns 1 if trials are missing."""
    experiment, runs = read_experiment(arguments), Path(arguments.runs)
    if experiment.tune is None:
        raise UserError(f"{experiment.name} is not tuned; --tune names a field and its values")
    tuning = load_tuning(experiment, committed_file(arguments, experiment), runs)
    names = tuning.names(experiment.table.label)
    missing = len(tuning.trials) - len(tuning.choices)
    if missing == len(tuning.trials):
        raise UserError(f"no row of {experiment.name} is tuned yet; `attn-research sweep` trains the trials")
    rows = {names[row]: choice for row, choice in tuning.choices.items()}
    print_markdown(_page(experiment.table.title, tuning, rows))
    if arguments.plot:
        for path in _plot(tuning, rows, runs / "reports" / f"{experiment.name}-tuning"):
            print(path)
    if missing:
        print_error(
            f"{missing} of {len(tuning.trials)} rows are not tuned yet; `attn-research sweep` trains their trials"
        )
    return 1 if missing else 0


def _page(title: str, tuning: "Tuning", rows: "dict[str, Choice]") -> str:
    """Returns Markdown with a row for each row of the experiment and a column for each setting."""
    from attn_research.reports.render import markdown_code, markdown_escape
    from attn_research.sweeps.tuning_notes import describe_budget, describe_choices

    settings = [", ".join(f"{name}={value}" for name, value in one.items()) for one in tuning.tune.settings]
    lines = [f"| | {' | '.join(map(markdown_escape, settings))} |", f"| --- |{' ---: |' * len(settings)}"]
    for label, choice in rows.items():
        cells = [_cell(tuning, value, setting == choice.setting) for setting, value in choice.values]
        lines.append(f"| {markdown_code(label)} | {' | '.join(cells)} |")
    notes = [describe_budget(tuning.tune), NOTE, *describe_choices({f"`{label}`": one for label, one in rows.items()})]
    heading = [f"**{markdown_escape(title)}: {tuning.tune.metric}**", ""] if title else []
    return "\n".join([*heading, *lines, "", *(f"- {note}" for note in notes), ""])


def _cell(tuning: "Tuning", value: float, chosen: bool) -> str:
    if math.isnan(value):
        return "–"
    text = f"{100 * value:.1f}" if tuning.tune.dev_metric.percent else f"{value:.4g}"
    return f"**{text}**" if chosen else text


def _plot(tuning: "Tuning", rows: "dict[str, Choice]", path: Path) -> list[Path]:
    """Draws the dev metric against each tuned field with numbers, with the other fields as chosen.

    Raises:
      UserError: no tuned field has numbers.
    """
    from attn_research.reports.curves import draw_lines
    from attn_research.reports.panels import Line, Panel

    metric = tuning.tune.dev_metric
    scale = 100 if metric.percent else 1
    fields = [
        name
        for name, values in tuning.tune.fields.items()
        if all(type(value) in (int, float) for value in values) and len(values) > 1
    ]
    if not fields:
        raise UserError("no tuned field has two numbers, so there is nothing to draw")
    y_label = f"dev {metric.label}{', %' if metric.percent else ''} {'↓' if metric.lower_is_better else '↑'}"
    panels = []
    for field in fields:
        values = tuning.tune.fields[field]
        lines = [Line(label, *_points(field, choice, scale)) for label, choice in rows.items()]
        numbers = [y for line in lines for y in line.y if math.isfinite(y)]
        panels.append(Panel("", field, y_label, lines, log_x=_is_wide(values), log_y=_is_wide(numbers)))
    seeds = len(tuning.tune.seeds)
    return draw_lines(panels, path, f"mean over {seeds} tuning seed{'s' * (seeds > 1)} at the best checkpoint")


def _is_wide(values: Sequence[float]) -> bool:
    """Whether an axis with these values is logarithmic."""
    return bool(values) and min(values) > 0 and max(values) >= LOG_FROM * min(values)


def _points(field: str, choice: "Choice", scale: float) -> tuple[list[float], list[float]]:
    """Returns the values of a field, ascending, and the dev metric at each, with the other fields as chosen."""
    others = {name: value for name, value in choice.setting.items() if name != field}
    points = sorted((s[field], scale * v) for s, v in choice.values if all(s[name] == others[name] for name in others))
    return [x for x, _ in points], [y for _, y in points]
