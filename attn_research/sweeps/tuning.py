"""An equal tuning budget: every row of an experiment is trained with every setting, and its best one on dev is chosen.

A trial is a run with one setting and one tuning seed. The test splits of trials are never read. The choice follows from
the records of the trials alone, so every command computes it anew.
"""

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from attn_research.config import Config, field_types, flatten, override
from attn_research.errors import UserError, nearest
from attn_research.variants import canonical

if TYPE_CHECKING:
    from attn_research.metrics import Metric

Record = Mapping[str, Any]
Setting = Mapping[str, Any]  # values of the tuned fields
DEV = "dev/"


@dataclass(frozen=True)
class Tune:
    """The tuning budget of every row.

    Attributes:
      fields: the tuned config fields with their values. The settings are all combinations.
      seeds: of the trials. Reported runs have other seeds.
      metric: the dev metric that chooses, as in `dev/loss`: its mean over the seeds at the best checkpoints.
      trial: further changes of the trials alone, such as fewer steps.

    Raises:
      UserError: a field or the metric is unknown, or there is no value, seed or setting.
    """

    fields: Mapping[str, Sequence]
    seeds: tuple[int, ...] = (100,)
    metric: str = "dev/loss"
    trial: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        from attn_research.metrics import METRICS  # slow to import, and `--help` needs none

        known = [name for name in field_types(Config()) if name != "seed"]
        for name in (*self.fields, *self.trial):
            if name not in known:
                raise UserError(f"Tune cannot set the field {name!r}; {nearest(name, known)}")
        for name, values in {**self.fields, "seeds": self.seeds}.items():
            if isinstance(values, str) or not isinstance(values, Sequence) or not values:
                raise UserError(f"{name} of Tune is {values!r}, but must be a tuple of one or more values")
            if len(set(map(str, values))) < len(values):
                raise UserError(f"{name} of Tune has a value twice: {', '.join(map(str, values))}")
        metrics = [f"{DEV}{name}" for name, metric in METRICS.items() if metric.lower_is_better is not None]
        if self.metric not in metrics:
            raise UserError(f"the metric of Tune is {self.metric!r}; {nearest(self.metric, metrics)}")

    @property
    def settings(self) -> list[Setting]:
        """All combinations of the values."""
        return [dict(zip(self.fields, values, strict=True)) for values in itertools.product(*self.fields.values())]

    @property
    def dev_metric(self) -> "Metric":
        """The metric that chooses."""
        from attn_research.metrics import METRICS

        return METRICS[self.metric.removeprefix(DEV)]

    def trials(self, config: Config) -> "list[Trial]":
        """Returns the trials of the row of `config`, whose seed plays no role."""
        return [
            Trial(setting, canonical(override(config, {**self.trial, **setting, "seed": seed}), import_user_code=True))
            for setting in self.settings
            for seed in self.seeds
        ]


class Trial(NamedTuple):
    """A run with one setting and one tuning seed."""

    setting: Setting
    config: Config


class Choice(NamedTuple):
    """The chosen setting of a row."""

    setting: Setting  # empty if every trial diverged: the row keeps its own values
    values: list[tuple[Setting, float]]  # the dev metric of every setting, mean over seeds; nan if a trial diverged
    edges: list[str]  # tuned fields whose chosen value is the lowest or highest of the grid


def check_tune(tune: Tune, configs: Iterable[Config]) -> None:
    """Checks that the runs of an experiment can be tuned.

    Raises:
      UserError: a run has a tuning seed, or two rows differ only in a tuned field.
    """
    rows: dict[Config, Setting] = {}
    for config in configs:
        if config.seed in tune.seeds:
            raise UserError(f"seed {config.seed} is both a tuning seed and the seed of a reported run")
        leaves = flatten(config)
        own = {name: leaves[name] for name in tune.fields}
        row = override(config, {"seed": 0} | dict(tune.settings[0]))
        if rows.setdefault(row, own) != own:
            name = next(name for name in own if own[name] != rows[row][name])
            raise UserError(f"rows differ in {name} ({rows[row][name]} and {own[name]}), which is tuned for every row")


def row_of(config: Config) -> Config:
    """Returns the config of a row: with seed 0, whatever the seed of the run."""
    return override(config, {"seed": 0})


def choose(tune: Tune, trials: Sequence[Trial], records: Mapping[Config, Record]) -> Choice | None:
    """Returns the setting with the best mean dev metric; the first one of equal ones; None if a record is missing.

    Args:
      trials: of one row.
      records: of the trials, by config.
    """
    if any(trial.config not in records for trial in trials):
        return None
    means = [
        (setting, _mean([dev_value(tune, records[t.config]) for t in trials if t.setting == setting]))
        for setting in tune.settings
    ]
    finite = [(setting, mean) for setting, mean in means if math.isfinite(mean)]
    if not finite:
        return Choice({}, means, [])
    pick = min if tune.dev_metric.lower_is_better else max
    setting, _ = pick(finite, key=lambda item: item[1])
    edges = [name for name, value in setting.items() if _at_edge(value, tune.fields[name])]
    return Choice(setting, means, edges)


def dev_value(tune: Tune, record: Record) -> float:
    """Returns the dev metric of a trial at its best checkpoint; nan if the trial diverged.

    Raises:
      UserError: the record has no dev curve, or no such metric.
    """
    if record["status"] != "finished":
        return math.nan
    curve, name = record.get("dev"), tune.dev_metric.name
    if not curve or name not in curve:
        why = f"no {tune.metric}; {nearest(name, list(curve)[1:])}" if curve else "no dev curve, as it is an early one"
        raise UserError(f"record {record['id']} cannot be a trial: it has {why}")
    value = curve[name][curve["step"].index(record["best_step"])]
    return math.nan if value is None else value


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _at_edge(value: Any, values: Sequence) -> bool:
    numbers = all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in values)
    return numbers and len(values) > 1 and value in (min(values), max(values))


class Tuning(NamedTuple):
    """The trials and choices of an experiment."""

    tune: Tune
    trials: dict[Config, list[Trial]]  # by row
    choices: dict[Config, Choice]  # by row; without rows that lack a trial
    records: Mapping[Config, Record]  # of the trials, by config

    def executed(self, sizes: Mapping[Config, Config]) -> dict[Config, Config]:
        """Returns the config with the chosen setting for each run, except for runs of rows without a choice.

        Args:
          sizes: as in `trials_by_row`.
        """
        return {
            config: canonical(override(sized, self.choices[row].setting), import_user_code=True)
            for config, sized in sizes.items()
            if (row := row_of(config)) in self.choices
        }

    def names(self, label: Callable[[Config], str]) -> dict[Config, str]:
        """Returns the name of each tuned row, with its task if a row of the table has several.

        Args:
          label: the name of a table's row.
        """
        counts = Counter(map(label, self.trials))
        return {row: label(row) + (f" on {row.data.task}" if counts[label(row)] > 1 else "") for row in self.trials}

    def chosen_ids(self) -> set[str]:
        """Returns the ids of the trials with the chosen setting of their row."""
        return {
            self.records[trial.config]["id"]
            for row, choice in self.choices.items()
            for trial in self.trials[row]
            if trial.setting == choice.setting
        }


def trials_by_row(tune: Tune, sizes: Mapping[Config, Config]) -> dict[Config, list[Trial]]:
    """Returns the trials of every row.

    Args:
      sizes: the runs of an experiment; the value of each has the hidden sizes that are trained.
    """
    rows: dict[Config, Config] = {}
    for config, sized in sizes.items():
        rows.setdefault(row_of(config), sized)
    return {row: tune.trials(sized) for row, sized in rows.items()}


def tune_rows(tune: Tune, sizes: Mapping[Config, Config], records: Mapping[Config, Record]) -> Tuning:
    """Returns the trials and choices of all rows.

    Args:
      sizes: as in `trials_by_row`.
      records: by config; those of other runs are not read.
    """
    trials = trials_by_row(tune, sizes)
    choices = {row: choose(tune, of_row, records) for row, of_row in trials.items()}
    used = {trial.config: records[trial.config] for row in trials for trial in trials[row] if trial.config in records}
    return Tuning(tune, trials, {row: choice for row, choice in choices.items() if choice is not None}, used)
