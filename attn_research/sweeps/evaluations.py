"""Evaluations of finished runs: a test set, decoded in a stated way, and its record in the directory of the run.

The record is `evaluations/<id>/result.json`, where the id is a digest of what is evaluated and how. An experiment
declares `EVALUATIONS = {"unk": Evaluate(replace_unknown=True)}`. Its table can then have the column `test@unk/bleu`.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from attn_research import storage
from attn_research.config import Config, check_search_changes, flatten, override, unflatten
from attn_research.errors import UserError
from attn_research.registry import Spec
from attn_research.runs.record_format import FIELDS, check, parse_object, to_json

Record = Mapping[str, Any]
FOLDER, FILE = "evaluations", "result.json"
DATA = "data"  # the split of a test set in files of its own
SEPARATOR = "@"  # between the split and the name of an evaluation
DECODE = "decode."
# Modules that are slow to import are imported where they are needed: `--help` needs none.
REQUIRED = {
    name: FIELDS[name] for name in ("id", "config", "splits", "date", "commit", "dirty", "versions", "device")
} | {"key": (dict,), "files": (dict,), "data": (dict,)}
COPIED = ("id", "key", "files", "commit", "dirty", "date", "versions", "machine", "device", "threads")


@dataclass(frozen=True)
class Evaluate:
    """What is evaluated, and how.

    Attributes:
      split: of the task of the runs.
      data: files in the format of the task, in place of a split: for `translation` source, target and, optionally, gold
        alignment, for `transduction` one file. The column is then `data@NAME/metric`.
      changes: fields of `decode`, as in `{"decode.beam": 5}`.
      average: "last:N" or "best:N", the mean of the parameters of N checkpoints; None: the best checkpoint.
      replace_unknown: whether source words replace unknown output symbols.
      dictionary: a file of lines `word<TAB>translation` for these words.
      unknown_step: whether the weights of the step that predicts an unknown symbol choose the word, or those of the
        step that reads it.
      ensemble: whether all runs of a row, one for each seed, decode together.
      row: whether the table has a further row `LABEL, NAME` with this evaluation under the name of the split, in place
        of the columns `SPLIT@NAME/metric`.
      of: the labels of the rows that are evaluated; empty: all rows.

    Raises:
      UserError: a field is invalid, or has no effect.
    """

    split: str = "test"
    data: tuple[str, ...] = ()
    changes: Mapping[str, Any] = field(default_factory=dict)
    average: str | None = None
    replace_unknown: bool = False
    dictionary: str | None = None
    unknown_step: Literal["predicting", "reading"] = "predicting"
    ensemble: bool = False
    row: bool = False
    of: tuple[str, ...] = ()

    def __post_init__(self):
        override(Config(), check_search_changes(self.changes))
        if self.data and self.split != "test":
            raise UserError(f"split of Evaluate is {self.split!r}, but has no effect, since data names files")
        for name in ("data", "of"):
            if isinstance(getattr(self, name), str):
                raise UserError(f"{name} of Evaluate is {getattr(self, name)!r}, but must be a tuple of strings")
        if self.average is not None:
            from attn_research.training.checkpoint import parse_average

            parse_average(self.average)
        if self.unknown_step not in ("predicting", "reading"):
            raise UserError(f"unknown_step is {self.unknown_step!r}, but must be predicting or reading")
        replaces = {"dictionary": self.dictionary is not None, "unknown_step": self.unknown_step != "predicting"}
        for name in [name for name, given in replaces.items() if given and not self.replace_unknown]:
            raise UserError(f"{name} of Evaluate has no effect without replace_unknown")

    @property
    def measured(self) -> str:
        """The split in the record."""
        return DATA if self.data else self.split

    def key(self, records: Sequence[Record]) -> dict[str, Any]:
        """Returns what identifies an evaluation of runs, apart from the contents of files, as JSON values.

        Args:
          records: of the runs, the members of an ensemble.
        """
        config = override(unflatten(records[0]["config"]), self.changes)
        decode, default = flatten(config), flatten(Config())
        return {
            "runs": [[record["id"], record.get("parameters_hash")] for record in records],
            "decode": {n: v for n, v in decode.items() if n.startswith(DECODE) and v != default[n]},
            "split": self.measured,
            "data": list(self.data),
            "average": self.average,
            "replace_unknown": self.unknown_step if self.replace_unknown else None,
            "dictionary": self.dictionary,
        }

    def hash_files(self) -> dict[str, str]:
        """Returns the first 16 hex digits of the sha256 of every file, by the path as it is written.

        Raises:
          UserError: a file is missing.
        """
        from attn_research.data.files import find_path

        paths = [*self.data, *([] if self.dictionary is None else [self.dictionary])]
        return {path: hashlib.sha256(find_path(path).read_bytes()).hexdigest()[:16] for path in paths}


def check_evaluations(declared: Any, path: str | Path) -> Mapping[str, Evaluate]:
    """Returns the `EVALUATIONS` of the experiment in the file at `path`.

    Raises:
      UserError: they are not a dict of names to `Evaluate`, or a name cannot be part of a column.
    """
    if not isinstance(declared, Mapping) or not all(isinstance(how, Evaluate) for how in declared.values()):
        raise UserError(f'{path}: EVALUATIONS is {declared!r}, but must be a dict, as in {{"beam": Evaluate(...)}}')
    for name in declared:
        if not isinstance(name, str) or not re.fullmatch(r"[^/\[\]():@]+", name):
            raise UserError(f"{path}: EVALUATIONS has the name {name!r}, which must not be empty or have / [ ] ( ) : @")
    return declared


def evaluation_id(key: Mapping[str, Any], files: Mapping[str, str]) -> str:
    """Returns the name of an evaluation: the first 10 hex digits of the sha256 of key and files as sorted JSON."""
    return hashlib.sha256(json.dumps([key, files], sort_keys=True).encode()).hexdigest()[:10]


def write(directory: Path, record: Record) -> None:
    """Writes `result.json` atomically, with a checksum. Numbers that are not finite become null."""
    storage.write(directory / FILE, to_json(record, indent=1, checked=True) + "\n")


def read(directory: Path) -> Record | None:
    """Returns the record of an evaluation; None if the evaluation is not done.

    Raises:
      UserError: the file is not a record or does not match its checksum.
    """
    from attn_research.runs.records import read_text

    path = directory / FILE
    try:
        return check(*parse_object(read_text(path), path), REQUIRED) if path.is_file() else None
    except UserError as error:
        raise UserError(f"{error}; remove the file and evaluate again to write it anew") from error


def as_split(record: Record) -> dict[str, Any]:
    """Returns the split of an evaluation for the record of its run, with what the evaluation comes from."""
    (split,) = record["splits"].values()
    return {**split, "evaluation": {name: record.get(name) for name in COPIED}}


class Job(NamedTuple):
    """One evaluation of an experiment."""

    name: str  # in EVALUATIONS
    how: Evaluate
    configs: tuple[Config, ...]  # of the run, or of all members of the ensemble
    records: tuple[Record, ...]  # theirs

    @property
    def split(self) -> str:
        """The name of the split in the record of the first run."""
        return f"{self.how.measured}{SEPARATOR}{self.name}"

    def find(self, runs: Path | None) -> dict[str, Any] | None:
        """Returns the split of this evaluation: from the directory of its run, else as it is in the run's record."""
        key, files = self.how.key(self.records), _hash_present_files(self.how)
        folder = None if runs is None else runs / self.records[0]["id"] / FOLDER
        if folder is not None and files is not None and (record := read(folder / evaluation_id(key, files))):
            return as_split(record)
        own = [record for path in sorted(folder.glob("*/")) if (record := read(path))] if folder else []
        committed = self.records[0]["splits"].get(self.split)
        splits = [*map(as_split, own), *([committed] if committed else [])]
        return next((split for split in splits if _fits(split["evaluation"], key, files)), None)


def _hash_present_files(how: Evaluate) -> dict[str, str] | None:
    """Returns the hashes of the files; None if one is missing, as on a machine that has only the records."""
    try:
        return how.hash_files()
    except UserError:
        return None


def _fits(evaluation: Mapping[str, Any], key: Mapping[str, Any], files: Mapping[str, str] | None) -> bool:
    return evaluation["key"] == key and files in (None, evaluation["files"])


def plan(
    evaluations: Mapping[str, Evaluate], by_config: Mapping[Config, Record], rows: Mapping[Config, str]
) -> tuple[list[Job], Counter[str]]:
    """Returns the evaluations that can be made, and how many of each name wait for runs.

    Args:
      by_config: the records of the finished runs.
      rows: the label of the row of every run of the experiment.
    """
    finished = {config: record for config, record in by_config.items() if record["status"] == "finished"}
    jobs: list[Job] = []
    waiting: Counter[str] = Counter()
    for name, how in evaluations.items():
        groups = _groups(how, rows)
        ready = [group for group in groups if all(config in finished for config in group)]
        jobs += [Job(name, how, group, tuple(finished[config] for config in group)) for group in ready]
        waiting[name] = len(groups) - len(ready)
    return jobs, waiting


def _groups(how: Evaluate, rows: Mapping[Config, str]) -> list[tuple[Config, ...]]:
    """Returns the runs that are evaluated together: each one alone, or all those of a row and task."""
    configs = [config for config, label in rows.items() if not how.of or label in how.of]
    if not how.ensemble:
        return [(config,) for config in configs]
    groups: dict[tuple[str, Spec], list[Config]] = {}
    for config in configs:
        groups.setdefault((rows[config], config.data.task), []).append(config)
    return [tuple(sorted(group, key=lambda config: config.seed)) for group in groups.values()]


def attach(
    by_config: Mapping[Config, Record], jobs: Sequence[Job], runs: Path | None
) -> tuple[dict[Config, Record], list[Job]]:
    """Returns the records of runs with those evaluations that are made, as further splits, and the missing evaluations.

    Args:
      runs: the directory of the runs; None: only what the records have already.
    """
    evaluated = {(job.configs[0], job.split): job.find(runs) for job in jobs}
    splits = {config: _without_evaluations(record["splits"]) for config, record in by_config.items()}
    for (config, name), split in evaluated.items():
        if split is not None:
            splits[config][name] = split
    missing = [job for job in jobs if evaluated[job.configs[0], job.split] is None]
    return {config: {**record, "splits": splits[config]} for config, record in by_config.items()}, missing


def _without_evaluations(splits: Mapping[str, Any]) -> dict[str, Any]:
    return {name: split for name, split in splits.items() if SEPARATOR not in name}


def add_rows(rows: Mapping[str, Sequence[Record]], evaluations: Mapping[str, Evaluate]) -> dict[str, list[Record]]:
    """Returns the records by row, with the further rows of evaluations that are declared as rows."""
    result: dict[str, list[Record]] = {}
    for label, records in rows.items():
        result[label] = list(records)
        for name, how in evaluations.items():
            split = f"{how.measured}{SEPARATOR}{name}"
            evaluated = [_as_row(record, how, split) for record in records if split in record["splits"]]
            if how.row and evaluated:
                result[f"{label}, {name}"] = evaluated
    return result


def _as_row(record: Record, how: Evaluate, split: str) -> Record:
    """Returns the record of a run with an evaluation in place of its splits."""
    evaluated = record["splits"][split]
    members = len(evaluated["evaluation"]["key"]["runs"])
    counts = {name: members * record[name] for name in ("parameters", "flops_per_step")}
    return {**record, **counts, "splits": {how.measured: evaluated}, "dev": None, "evaluation": split}


def describe(name: str, how: Evaluate, evaluated: Sequence[Mapping[str, Any]], missing: int) -> str:
    """Returns the footnote on an evaluation.

    Args:
      evaluated: its splits.
      missing: the number of those that are not made yet.
    """
    members = sorted({len(split["evaluation"]["key"]["runs"]) for split in evaluated})
    replaced = f"source words for unknown symbols by the weights of the step {how.unknown_step} them"
    parts = [
        f"an ensemble of {' or '.join(map(str, members))} seeds" if how.ensemble and members else "",
        f"data {', '.join(how.data)}" if how.data else "",
        *(f"{field}={value}" for field, value in how.changes.items()),
        f"average {how.average}" if how.average else "",
        replaced + (f" and {how.dictionary}" if how.dictionary else "") if how.replace_unknown else "",
    ]
    commits = sorted({str(split["evaluation"]["commit"])[:10] for split in evaluated})
    origin = f"commit {', '.join(f'`{commit}`' for commit in commits)}" if commits else "not made"
    absent = f"; {missing} missing, `attn-research sweep` makes them" if missing else ""
    details = "; ".join(filter(None, [", ".join(filter(None, parts)), f"{len(evaluated)} evaluations, {origin}"]))
    return f"`{SEPARATOR}{name}`: {details}{absent}."
