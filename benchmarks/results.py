"""Records of questions: what was measured, with what, where and when."""

import importlib.metadata
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attn_research.runs.environment import RESULT_PATHS, environment, git_state
from benchmarks.measure import MeasurementPlan
from benchmarks.server import ROOT

RESULTS = ROOT / "benchmarks" / "results"
Record = dict[str, Any]


def new_record(question: str, plan: MeasurementPlan) -> Record:
    """A record in which nothing is measured yet."""
    torch = [distribution.version for distribution in importlib.metadata.distributions(name="torch")]
    about = environment() | git_state(ROOT, (*RESULT_PATHS, "benchmarks/*.py"))
    about["versions"] |= {"torch": torch[0] if torch else None}
    return {"question": question, "plan": plan._asdict(), **about, "rows": {}, "left_out": []}


def add(record: Record, row: str, sides_measured: Mapping[str, Mapping[str, Any]]) -> None:
    """One more repetition of a row; facts are those of the first, whose compilation caches were cold."""
    sides = record["rows"].setdefault(row, {})
    for side, measurement in sides_measured.items():
        side_record = sides.setdefault(side, {"facts": measurement["facts"], "repetitions": []})
        side_record["repetitions"].append(measurement["blocks"])
    record["date"] = datetime.now(UTC).isoformat(timespec="seconds")


def write(directory: Path, record: Record) -> Path:
    """The record's file."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{record['question']}.json"
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    draft.replace(path)
    return path


def read(directory: Path, question: str) -> Record | None:
    """The record of a question, if there is one."""
    path = directory / f"{question}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
