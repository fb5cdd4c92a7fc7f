"""Committed records of tuning trials: `experiments/results/<name>.trials.jsonl`, one short line per trial.

A line has the config fields that differ from the schema's defaults, the dev curve of the metric that chooses, and
whether its setting was chosen. It has no test split, since a choice never reads one.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from attn_research import storage
from attn_research.config import Config, diff, digest, flatten, unflatten
from attn_research.errors import UserError
from attn_research.runs.record_format import to_json

Record = dict[str, Any]
COPIED = ("id", "status", "best_step", "commit", "dirty", "machine", "data", "user_code")  # fields of a full record


def save_trials(path: Path, records: Iterable[Mapping[str, Any]], chosen: set[str], metric: str) -> None:
    """Writes records of trials, full or short, ordered by id. The same records always give the same file.

    Args:
      chosen: the ids of trials whose setting was chosen.
      metric: the dev metric whose curve is written, as in `loss`.
    """
    lines = [_shorten(record, record["id"] in chosen, metric) for record in records]
    storage.write(path, "".join(to_json(line) + "\n" for line in sorted(lines, key=lambda line: line["id"])))


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
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [_parse(line, f"{path}:{number}") for number, line in enumerate(lines, 1) if line.strip()]


def _parse(text: str, place: str) -> Record:
    try:
        line = json.loads(text)
        config = unflatten(line["changes"])
        record = {name: line[name] for name in (*COPIED, "dev", "chosen")}
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{place} is not the record of a trial: {type(error).__name__}: {error}") from error
    if digest(config) != record["id"]:
        raise UserError(f"{place} was made with other defaults of the config, or is damaged; remove the line")
    return record | {"config": flatten(config)}
