"""Committed records of tuning trials: `experiments/results/<name>.trials.jsonl`, one short line per trial.

A line has the config fields that differ from the schema's defaults, the dev curve of the metric that chooses, and
whether its setting was chosen. It has no test split, since a choice never reads one.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from attn_research.config import Config, diff, digest, flatten, unflatten
from attn_research.errors import UserError
from attn_research.runs.committed import read_lines, write_lines

Record = dict[str, Any]
COPIED = ("id", "status", "best_step", "commit", "dirty", "machine", "data", "user_code")  # fields of a full record


def save_trials(path: Path, records: Iterable[Mapping[str, Any]], chosen: set[str], metric: str) -> None:
    """Writes records of trials, full or short, ordered by id. The same records always give the same file.

    Args:
      chosen: the ids of trials whose setting was chosen.
      metric: the dev metric whose curve is written, as in `loss`.
    """
    write_lines(path, [_shorten(record, record["id"] in chosen, metric) for record in records])


def _shorten(record: Mapping[str, Any], chosen: bool, metric: str) -> Record:
    curve = record["dev"]
    return {
        **{name: record.get(name) for name in COPIED},
        "changes": {name: new for name, (_, new) in diff(Config(), unflatten(record["config"])).items()},
        "dev": curve and {name: curve[name] for name in ("step", metric) if name in curve},
        "chosen": chosen,
    }


def load_trials(path: Path) -> list[Record]:
    """Returns the records of a file with `config`, `status`, `best_step` and `dev`; none if the file does not exist.

    Raises:
      UserError: a line is not the record of a trial, or was made with other defaults.
    """
    return [_parse(line, place) for line, place in read_lines(path)]


def _parse(line: Record, place: str) -> Record:
    try:
        config = unflatten(line["changes"])
        record = {name: line[name] for name in (*COPIED, "dev", "chosen")}
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{place} is not the record of a trial: {type(error).__name__}: {error}") from error
    if digest(config) != record["id"]:
        raise UserError(f"{place} was made with other defaults of the config, or is damaged; remove the line")
    return record | {"config": flatten(config)}
