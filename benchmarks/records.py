"""Records of questions, one JSON file each: the measurements, the versions, the machine and the date."""

import importlib.metadata
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attn_research import storage
from attn_research.runs.environment import RESULT_PATHS, environment, git_state
from benchmarks.measure import MeasurementPlan
from benchmarks.server import ROOT

RESULTS = ROOT / "benchmarks" / "results"
Record = dict[str, Any]


def new_record(question: str, plan: MeasurementPlan) -> Record:
    """Returns a record without measurements."""
    torch = [distribution.version for distribution in importlib.metadata.distributions(name="torch")]
    about = environment() | git_state(ROOT, (*RESULT_PATHS, "benchmarks/*.py"))
    about["versions"] |= {"torch": torch[0] if torch else None}
    return {"question": question, "plan": plan._asdict(), **about, "rows": {}, "left_out": []}


def add(record: Record, row: str, measurements: Mapping[str, Mapping[str, Any]]) -> None:
    """Adds a repetition of a row. Facts are those of the first repetition, whose compilation caches are cold."""
    sides = record["rows"].setdefault(row, {})
    for side, measurement in measurements.items():
        side_record = sides.setdefault(side, {"facts": measurement["facts"], "repetitions": []})
        side_record["repetitions"].append(measurement["blocks"])
    record["date"] = datetime.now(UTC).isoformat(timespec="seconds")


def write(directory: Path, record: Record) -> Path:
    """Writes a record to `directory`, and returns its file."""
    path = directory / f"{record['question']}.json"
    storage.write(path, json.dumps(record, indent=1) + "\n")
    return path


def read(directory: Path, question: str) -> Record | None:
    """Reads the record of a question; None if there is none."""
    path = directory / f"{question}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
