"""The records of an experiment's runs, as the commands `table` and `figure` show them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attn_research.config import Config
from attn_research.errors import UserError
from attn_research.sweeps.expand import Experiment

RecordsByConfig = Mapping[Config, Mapping[str, Any]]


def committed_records(path: str | Path) -> Path:
    """Returns the file of the committed records of the experiment file at `path`."""
    return Path(path).parent / "results" / f"{Path(path).stem}.jsonl"


def load_records(experiment: Experiment, runs: Path, committed: Path) -> tuple[RecordsByConfig, dict[Config, str]]:
    """Returns the records by config, from `runs` or else the committed ones, and why other records are left out.

    Records of runs with other versions of users' files are left out.
    """
    from attn_research.reports import user_metrics
    from attn_research.reports.selection import select_current_code
    from attn_research.runs import records
    from attn_research.runs.identity import warn_unrecorded

    own, others = records.load_runs(runs), records.load_committed(committed)
    result, left_out = select_current_code(experiment.runs, records.by_config(own), records.by_config(others))
    warn_unrecorded(list(result.values()), experiment.name)
    return user_metrics.add(result, runs, experiment.table.columns), left_out


def select_rows(
    experiment: Experiment, by_config: RecordsByConfig, left_out: Mapping[Config, str] | None = None
) -> tuple[dict[str, list], dict[str, list[int]], list[str]]:
    """Returns the records of one data set by row, the seeds of each row without a record, and why others are left out.

    Args:
      left_out: why a config is not in `by_config` although it has a record.

    Raises:
      UserError: no record is left.
    """
    from attn_research.reports.selection import select_same_data

    by_config, others = select_same_data(
        {config: by_config[config] for config in experiment.runs if config in by_config}
    )
    left_out = dict(left_out or {}) | others
    included = [config for config in experiment.runs if config not in left_out]
    rows, missing = experiment.table.group(included, by_config)
    if not any(rows.values()):
        _reject_empty(experiment, left_out)
    reasons = [
        f"`{experiment.table.label(config)}`, seed {config.seed}, is left out: {reason}."
        for config, reason in left_out.items()
    ]
    return rows, missing, reasons


def _reject_empty(experiment: Experiment, left_out: Mapping[Config, str]) -> None:
    from attn_research.runs import identity

    if left_out:
        why = identity.join_distinct(left_out.values())
        raise UserError(
            f"no record of {experiment.name} can be shown: {why}; `attn-research sweep --fresh` trains them again"
        )
    raise UserError(f"no run of {experiment.name} is finished; `attn-research sweep` trains them")
