"""The footnotes of a table on the tuning of its rows."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attn_research.config import Config
from attn_research.sweeps.tuning import Tune, Tuning


def tuning_notes(tuning: Tuning, label: Callable[[Config], str], columns: Sequence[str]) -> list[str]:
    """Returns sentences on the budget, the chosen settings, and the choices at an edge of the grid.

    Args:
      label: the name of a row.
      columns: of the table; settings that have a column are not listed.
    """
    names = _names(tuning, label)
    listed = [field for field in tuning.tune.fields if not any(column.endswith(field) for column in columns)]
    choices = {names[row]: choice for row, choice in tuning.choices.items()}
    diverged = [name for name, choice in choices.items() if not choice.setting]
    edges = [f"{name} ({_format(c.setting, c.edges)})" for name, c in choices.items() if c.edges]
    waiting = [
        f"{names[row]} ({sum(trial.config in tuning.records for trial in trials)} of {len(trials)} trials)"
        for row, trials in tuning.trials.items()
        if row not in tuning.choices
    ]
    chosen = [f"{name} {_format(choice.setting, listed)}" for name, choice in choices.items() if choice.setting]
    return [
        _budget(tuning.tune),
        *([f"Chosen settings: {'; '.join(chosen)}."] if listed and chosen else []),
        *([f"At an edge of the grid, so a better value may lie beyond it: {', '.join(edges)}."] if edges else []),
        *([f"Not tuned, since every setting diverged: {', '.join(diverged)}."] if diverged else []),
        *([f"Not tuned yet, so without a number: {', '.join(waiting)}."] if waiting else []),
    ]


def _budget(tune: Tune) -> str:
    grid = " and ".join(f"`{field}` {', '.join(map(str, values))}" for field, values in tune.fields.items())
    seeds = f"{len(tune.seeds)} seed{'s' if len(tune.seeds) > 1 else ''} ({', '.join(map(str, tune.seeds))})"
    changes = " and ".join(f"`{field}` {value}" for field, value in tune.trial.items())
    changes = changes and f", with {changes}"
    return (
        f"Tuning budget of every row: {len(tune.settings)} settings x {seeds}, {grid}{changes}. Each "
        f"row takes the setting with the best mean {tune.metric.replace('/', ' ')}."
    )


def _names(tuning: Tuning, label: Callable[[Config], str]) -> dict[Config, str]:
    """Returns the name of each tuned row, with its task if a row of the table has several."""
    counts = Counter(map(label, tuning.trials))
    return {
        row: f"`{label(row)}`" + (f" on {row.data.task}" if counts[label(row)] > 1 else "") for row in tuning.trials
    }


def _format(setting: Mapping[str, Any], fields: Sequence[str]) -> str:
    """Returns the values of `fields`, with their names if there are several."""
    values = [str(setting[field]) for field in fields]
    return ", ".join(values if len(setting) == 1 else map("=".join, zip(fields, values, strict=True)))
