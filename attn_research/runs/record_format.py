"""The format of a record: its required fields, its text and its checksum."""

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attn_research.errors import UserError

CHECKSUM = "checksum"  # field of result.json over all other fields; early records have none
NUMBER, TEXT, NONE = (int, float), (str,), (type(None),)
FIELDS: dict[str, tuple[type, ...]] = {
    "id": TEXT,
    "config": (dict,),
    "config.seed": (int,),
    "config.data.task": TEXT,
    "config.train.select": TEXT,
    "status": TEXT,
    "failure": TEXT + NONE,
    "steps": (int,),
    "best_step": (int, *NONE),
    "splits": (dict,),
    "parameters": NUMBER,
    "flops_per_step": NUMBER,
    "seconds": (dict,),
    "seconds.step": NUMBER,
    "seconds.total": NUMBER,
    "idle": (bool,),
    "user_code": (dict,),
    "date": TEXT,
    "commit": TEXT + NONE,
    "dirty": (bool, *NONE),
    "versions": (dict,),
    "versions.jax": TEXT + NONE,
    "versions.flax": TEXT + NONE,
    "device": TEXT,
    "machine": TEXT,
    "threads": (int,),
}
SPLIT_FIELDS = {"metrics": (dict,), "items": (dict,), "ceiling": NUMBER + NONE}


def parse(text: str, path: Path, line: int | None = None) -> dict[str, Any]:
    """Parses the record that `to_json` wrote.

    Args:
      path: the file of the record in messages.
      line: its line there; None if the file holds one record only.

    Raises:
      UserError: the text is not a record, lacks a field or does not match its checksum.
    """
    return check(*parse_object(text, path, line))


def parse_object(text: str, path: Path, line: int | None = None) -> tuple[dict[str, Any], str]:
    """Returns the JSON object of a text, and its place for messages. Args and errors are as in `parse`."""
    try:
        record = json.loads(text)
    except json.JSONDecodeError as error:
        location = f"{path}:{line or error.lineno}"
        raise UserError(f"{location} is not a record: {error.msg} at column {error.colno}") from error
    location = f"{path}:{line or 1}"
    if not isinstance(record, dict):
        raise UserError(f"{location} is not a record: it is not a JSON object")
    return record, location


def check(record: dict[str, Any], location: str, fields: Mapping[str, tuple[type, ...]] = FIELDS) -> dict[str, Any]:
    """Checks checksum and fields of a record, and returns it without the checksum.

    Args:
      location: file and line, for the message.
      fields: the required fields with their types.

    Raises:
      UserError: the record lacks a field or does not match its checksum.
    """
    checksum = record.pop(CHECKSUM, None)
    if checksum is not None and checksum != _checksum(record):
        raise UserError(f"{location} is damaged: it does not match its checksum")
    for name, kinds in fields.items():
        outer, dot, inner = name.partition(".")
        _check(record[outer] if dot else record, inner or outer, kinds, name, location)
    for name, split in record["splits"].items():
        for part, kinds in SPLIT_FIELDS.items():
            _check(split, part, kinds, f"splits.{name}.{part}", location)
    if record.get("status") == "finished" and "test" not in record["splits"]:
        raise UserError(f"{location} is not a record: it has no 'splits.test'")
    return record


def _check(values: Any, key: str, kinds: tuple[type, ...], name: str, location: str) -> None:
    if not isinstance(values, dict) or key not in values:
        raise UserError(f"{location} is not a record: it has no {name!r}")
    if not isinstance(values[key], kinds):
        raise UserError(f"{location} is not a record: its {name!r} is {str(values[key])[:40]!r}")


def to_json(record: Mapping[str, Any], indent: int | None = None, checked: bool = False) -> str:
    """Returns the record as text. Equal records give equal texts. Numbers that are not finite become null.

    Args:
      checked: adds a checksum.
    """
    record = _finite(record)
    return _text({**record, CHECKSUM: _checksum(record)} if checked else record, indent)


def _checksum(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(_text(record).encode()).hexdigest()


def _text(record: Mapping[str, Any], indent: int | None = None) -> str:
    return json.dumps(record, indent=indent, sort_keys=True, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    match value:
        case Mapping():
            return {key: _finite(item) for key, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
        case float() if not math.isfinite(value):
            return None
    return value
