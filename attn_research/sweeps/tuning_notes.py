"""The footnotes of a table on the tuning of its rows."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attn_research.config import Config
from attn_research.sweeps.tuning import Choice, Tune, Tuning

MAX_LISTED = 16  # rows that a note names


def tuning_notes(tuning: Tuning, label: Callable[[Config], str], columns: Sequence[str]) -> list[str]:
    """Returns sentences on the budget, the chosen settings, and the choices at an edge of the grid.

    Args:
      label: the name of a row.
      columns: of the table; settings that have a column are not listed.
    """
    names = {row: f"`{name}`" for row, name in tuning.names(label).items()}
    listed = [field for field in tuning.tune.fields if not any(column.endswith(field) for column in columns)]
    choices = {names[row]: choice for row, choice in tuning.choices.items()}
    waiting = [
        f"{names[row]} ({sum(trial.config in tuning.records for trial in trials)} of {len(trials)} trials)"
        for row, trials in tuning.trials.items()
        if row not in tuning.choices
    ]
    chosen = [f"{name} {_format(choice.setting, listed)}" for name, choice in choices.items() if choice.setting]
    return [
        describe_budget(tuning.tune),
        *([f"Chosen settings: {_list_few(chosen)}."] if listed and chosen else []),
        *describe_choices(choices),
        *([f"Not tuned yet, so without a number: {_list_few(waiting)}."] if waiting else []),
    ]


def describe_budget(tune: Tune) -> str:
    """Returns a sentence on the settings, the seeds and the metric that chooses."""
    grid = " and ".join(f"`{field}` {', '.join(map(str, values))}" for field, values in tune.fields.items())
    seeds = f"{len(tune.seeds)} seed{'s' if len(tune.seeds) > 1 else ''} ({', '.join(map(str, tune.seeds))})"
    changes = " and ".join(f"`{field}` {value}" for field, value in tune.trial.items())
    changes = changes and f", with {changes}"
    return (
        f"Tuning budget of every row: {len(tune.settings)} settings x {seeds}, {grid}{changes}. Each row takes the "
        f"setting with the best mean {tune.metric.replace('/', ' ')}."
    )


def describe_choices(choices: Mapping[str, Choice]) -> list[str]:
    """Returns sentences on choices at an edge of the grid, and on rows whose trials all diverged.

    Args:
      choices: by the name of the row.
    """
    edges = [f"{name} ({_format(choice.setting, choice.edges)})" for name, choice in choices.items() if choice.edges]
    diverged = [name for name, choice in choices.items() if not choice.setting]
    beyond = "At an edge of the grid, so a better value may lie beyond it"
    return [
        *([f"{beyond} ({len(edges)} of {len(choices)} rows): {_list_few(edges)}."] if edges else []),
        *([f"Not tuned, since every setting diverged: {_list_few(diverged)}."] if diverged else []),
    ]


def _list_few(names: Sequence[str]) -> str:
    return "; ".join(names) if len(names) <= MAX_LISTED else "`attn-research tune` shows them"


def _format(setting: Mapping[str, Any], fields: Sequence[str]) -> str:
    """Returns the values of `fields`, with their names if there are several."""
    values = [str(setting[field]) for field in fields]
    return ", ".join(values if len(setting) == 1 else map("=".join, zip(fields, values, strict=True)))
