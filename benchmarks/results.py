"""Records of questions: what was measured, with what, where and when."""

import importlib.metadata
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attn_research.runs.environment import DECISIVE, checkout, environment
from benchmarks.measure import Plan
from benchmarks.server import ROOT

RESULTS = ROOT / "benchmarks" / "results"
Record = dict[str, Any]


def empty(question: str, plan: Plan) -> Record:
    """A record in which nothing is measured yet."""
    torch = [found.version for found in importlib.metadata.distributions(name="torch")]
    about = environment() | checkout(ROOT, (*DECISIVE, "benchmarks/*.py"))
    about["versions"] |= {"torch": torch[0] if torch else None}
    return {"question": question, "plan": plan._asdict(), **about, "rows": {}, "left_out": []}


def add(record: Record, row: str, measured: Mapping[str, Mapping[str, Any]]) -> None:
    """One more repetition of a row; facts are those of the first, whose compilation caches were cold."""
    sides = record["rows"].setdefault(row, {})
    for side, found in measured.items():
        kept = sides.setdefault(side, {"facts": found["facts"], "repetitions": []})
        kept["repetitions"].append(found["blocks"])
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
