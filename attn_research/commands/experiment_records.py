"""The records of an experiment: of its runs with the chosen settings, and of the trials that chose them."""

import dataclasses
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from attn_research.commands.experiment import RecordsByConfig, executed_runs, read_tuning, trials_file
from attn_research.config import Config
from attn_research.errors import UserError, nearest
from attn_research.sweeps.evaluations import SEPARATOR, Job, add_rows, attach, plan
from attn_research.sweeps.evaluations import describe as describe_evaluation
from attn_research.sweeps.expand import Experiment
from attn_research.sweeps.matching import describe
from attn_research.sweeps.tuning import Tuning
from attn_research.sweeps.tuning_notes import tuning_notes

if TYPE_CHECKING:
    from attn_research.reports.claims import Claim
    from attn_research.reports.render import TableData

OTHER_TRIALS = (
    "The settings were chosen on other data than those of the runs; `attn-research sweep --retune` chooses anew."
)


class ExperimentRecords(NamedTuple):
    """The records of an experiment that can be shown together, and why others cannot."""

    experiment: Experiment
    by_config: RecordsByConfig  # of a run with the chosen setting of its row, under the config before tuning
    left_out: Mapping[Config, str]  # why a run is not in `by_config` although it has a record
    tuning: Tuning | None
    trials: list[Mapping[str, Any]]  # their records
    other_trials: bool  # whether trials were made with other data than the runs
    missing_evaluations: Mapping[str, int]  # how many evaluations of each name are not made yet

    @property
    def missing(self) -> list[Config]:
        """The runs without a record."""
        return [config for config in self.experiment.runs if config not in self.by_config]

    def rows(self) -> tuple[dict[str, list], dict[str, list[int]], list[str]]:
        """Returns the records by row, the seeds of each row without a record, and sentences on left-out runs.

        Raises:
          UserError: no record is left.
        """
        table = self.experiment.table
        included = [config for config in self.experiment.runs if config not in self.left_out]
        rows, missing = table.group(included, self.by_config)
        rows = add_rows(rows, self.experiment.evaluations)
        if not any(rows.values()):
            self._reject_empty()
        reasons = [
            f"`{table.label(config)}`, seed {config.seed}, is left out: {reason}."
            for config, reason in self.left_out.items()
        ]
        return rows, missing, reasons

    @property
    def evaluations(self) -> list[Mapping[str, Any]]:
        """What the evaluations of the records come from."""
        splits = [split for record in self.by_config.values() for split in record["splits"].values()]
        return [split["evaluation"] for split in splits if "evaluation" in split]

    @property
    def notes(self) -> list[str]:
        """The footnotes on the sizes and the tuning of the rows."""
        table, match = self.experiment.table, self.experiment.match
        sizes = [] if match is None else [describe(match, self.experiment.sizes, table.label)]
        other = [OTHER_TRIALS] if self.other_trials else []
        tuned = [] if self.tuning is None else tuning_notes(self.tuning, table.label, table.columns)
        return [*sizes, *tuned, *other, *self._evaluation_notes()]

    def _evaluation_notes(self) -> list[str]:
        splits = [record["splits"] for record in self.by_config.values()]
        names = {name: f"{how.measured}{SEPARATOR}{name}" for name, how in self.experiment.evaluations.items()}
        evaluated = {name: [one[split] for one in splits if split in one] for name, split in names.items()}
        return [
            describe_evaluation(name, how, evaluated[name], self.missing_evaluations.get(name, 0))
            for name, how in self.experiment.evaluations.items()
        ]

    def table(self) -> "TableData":
        """Returns the experiment's table. Errors are as in `rows`."""
        rows, missing, reasons = self.rows()
        return self.experiment.table.build(rows, self.experiment.published, missing, [*self.notes, *reasons])

    def finished_rows(self) -> dict[str, list]:
        """Returns the records by row, without diverged runs. Errors are as in `rows`."""
        return {label: [r for r in records if r["status"] == "finished"] for label, records in self.rows()[0].items()}

    def metric(self, name: str | None) -> str:
        """Returns the name of the first metric column of the table, if `name` is None."""
        from attn_research.reports.columns import MetricColumn, column

        metrics = [one for one in self.experiment.table.columns if isinstance(column(one), MetricColumn)]
        if name is None and not metrics:
            raise UserError(f"the table of {self.experiment.name} has no metric; name one with --metric")
        return metrics[0] if name is None else name

    def by_attribute(self, attribute: str, metric: str | None) -> "ExperimentRecords":
        """Returns the records with a table that shows a metric on slices by an attribute of the items.

        Raises:
          UserError: the items have no such attribute, or as in `rows`.
        """
        from attn_research.reports.axes import slice_columns

        name, table = self.metric(metric), self.experiment.table
        columns = tuple(slice_columns(name, self.finished_rows(), attribute))
        sliced = dataclasses.replace(table, columns=columns, title=f"{table.title}, by {attribute}".strip(", "))
        return self._replace(experiment=self.experiment._replace(table=sliced, published={}))

    def _reject_empty(self) -> None:
        from attn_research.runs import identity

        name = self.experiment.name
        if self.left_out:
            why = identity.join_distinct(self.left_out.values())
            raise UserError(f"no record of {name} can be shown: {why}; `attn-research sweep --fresh` trains them again")
        raise UserError(f"no run of {name} is finished; `attn-research sweep` trains them")


def read_claims(experiment: Experiment) -> "tuple[Claim, ...]":
    """Returns the claims of an experiment.

    Raises:
      UserError: `CLAIMS` has something else.
    """
    from attn_research.reports.claims import Claim

    declared = experiment.claims
    if not isinstance(declared, (tuple, list)) or not all(isinstance(claim, Claim) for claim in declared):
        raise UserError(f"CLAIMS of {experiment.name} is {declared!r}, but must be a tuple of Claim(text, check)")
    return tuple(declared)


def shown_columns(experiment: Experiment) -> list[str]:
    """Returns the columns of an experiment's table, and those that its curves and claims read."""
    claimed = [name for claim in read_claims(experiment) for name in claim.columns]
    return [*experiment.table.columns, *(curve.y for curve in experiment.curves), *claimed]


def item_metrics(experiment: Experiment) -> set[tuple[str, str]]:
    """Returns split and metric of everything that an experiment shows item by item."""
    from attn_research.reports.tables import measured

    pairs = measured(shown_columns(experiment))
    as_rows = {name: how for name, how in experiment.evaluations.items() if how.row}
    return pairs | {
        (f"{split}{SEPARATOR}{name}", metric)
        for name, how in as_rows.items()
        for split, metric in pairs
        if split == how.measured
    }


def load_tuning(experiment: Experiment, committed: Path, runs: Path | None = None) -> Tuning:
    """Loads the trials of a tuned experiment: from `runs`, else the committed ones."""
    from attn_research.runs import records
    from attn_research.runs.trials import load_trials

    own = {} if runs is None else records.by_config(records.load_runs(runs))
    tuning = read_tuning(experiment, own, records.by_config(load_trials(trials_file(committed))))
    return cast(Tuning, tuning)


def load_records(
    experiment: Experiment, committed: Path, runs: Path | None = None, own_only: bool = False
) -> ExperimentRecords:
    """Loads the records of an experiment: from `runs`, else the committed ones.

    Records of other versions of users' files, and of other data than most records, are left out.

    Args:
      committed: the file of the committed records.
      runs: the directory of the runs; None: only committed records are read.
      own_only: whether only the trials may be committed ones.
    """
    from attn_research.reports import user_metrics
    from attn_research.reports.selection import select_current_code, select_same_data
    from attn_research.runs import records
    from attn_research.runs.committed import load_committed
    from attn_research.runs.identity import warn_unrecorded
    from attn_research.runs.trials import load_trials

    own = {} if runs is None else records.by_config(records.load_runs(runs))
    tuning = read_tuning(experiment, own, records.by_config(load_trials(trials_file(committed))))
    executed = executed_runs(experiment, tuning)
    others = {} if own_only else records.by_config(load_committed(committed))
    selected, edited = select_current_code(executed.values(), own, others)
    warn_unrecorded(list(selected.values()), experiment.name)
    selected, other_data = select_same_data(selected)
    reasons = edited | other_data
    by_config = {config: selected[trained] for config, trained in executed.items() if trained in selected}
    jobs, missing = plan_evaluations(experiment, by_config)
    by_config, without = attach(by_config, jobs, runs)
    _check_evaluated(experiment, by_config)
    if runs is not None:
        by_config = user_metrics.add(by_config, runs, shown_columns(experiment))
    left_out = {config: reasons[trained] for config, trained in executed.items() if trained in reasons}
    trials = {} if tuning is None else tuning.records
    other_trials = bool(select_same_data({**trials, **selected})[1])
    missing.update(job.name for job in without)
    return ExperimentRecords(experiment, by_config, left_out, tuning, list(trials.values()), other_trials, missing)


def _check_evaluated(experiment: Experiment, by_config: RecordsByConfig) -> None:
    """Checks that a record has the evaluation of every column, if there are records.

    Raises:
      UserError: the experiment does not declare the evaluation, or it is not made.
    """
    present = {split for record in by_config.values() for split in record["splits"]}
    for split in sorted({split for split, _ in item_metrics(experiment) if SEPARATOR in split} - present):
        name = split.partition(SEPARATOR)[2]
        if name not in experiment.evaluations:
            raise UserError(
                f"EVALUATIONS of {experiment.name} has no {name!r}; {nearest(name, experiment.evaluations)}"
            )
        if by_config and not experiment.evaluations[name].row:
            raise UserError(
                f"no run of {experiment.name} has the evaluation {split!r} that its columns show; "
                "`attn-research sweep` makes it"
            )


def plan_evaluations(experiment: Experiment, by_config: RecordsByConfig) -> tuple[list[Job], Counter[str]]:
    """Returns the evaluations of an experiment that can be made, and how many of each name wait for runs.

    Args:
      by_config: the records of the finished runs, under the configs before tuning.
    """
    if not experiment.evaluations:
        return [], Counter()
    rows = {config: experiment.table.label(config) for config in experiment.runs}
    return plan(experiment.evaluations, by_config, rows)
