"""Finished runs as records: `runs/<id>/result.json`, and the committed lines in experiments/results.

A record is a dict of JSON values; its presence means that the run is done. It is matched to a config by value, so that
a config field that came later, with a default that keeps the behavior, orphans no record.
"""

import base64
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from attn_research import storage
from attn_research.config import Config, digest, flatten, unflatten
from attn_research.errors import UserError
from attn_research.registry import Spec, fingerprint
from attn_research.runs.environment import environment
from attn_research.runs.record_format import parse, to_json
from attn_research.spelling import normal

__all__ = [
    "by_config",
    "environment",
    "find_record",
    "is_done",
    "load_committed",
    "load_runs",
    "pack",
    "read",
    "save_committed",
    "unpack",
    "user_code",
    "write",
]

FILE = "result.json"
REPLACED = ".replaced-"  # in the name of a directory whose run was made anew
Record = dict[str, Any]


def pack(array: np.ndarray) -> str:
    """Integers from 0 to 65,535, an item each, as text: base64 of zlib of little-endian uint16."""
    array = np.asarray(array)
    if array.size and not 0 <= array.min() <= array.max() < 2**16:
        raise UserError(f"items from {array.min()} to {array.max()} cannot be packed; the range is 0 to 65535")
    return base64.b64encode(zlib.compress(array.astype("<u2").tobytes(), 9)).decode()


def unpack(text: str) -> np.ndarray:
    """What `pack` packed, as int64 [n].

    Raises:
      UserError: it is damaged.
    """
    try:
        return np.frombuffer(zlib.decompress(base64.b64decode(text)), "<u2").astype(int)
    except (ValueError, TypeError, zlib.error) as error:
        raise UserError(f"the items {text[:20]!r}... of a record are damaged: {error}") from error


def write(directory: str | Path, record: Mapping[str, Any]) -> None:
    """Put `result.json` into `directory`, all of it or nothing; numbers that are not finite become null."""
    storage.write(Path(directory) / FILE, to_json(record, indent=1, checked=True) + "\n")


def read(directory: str | Path) -> Record | None:
    """The record in `directory`, or None if the run is not done.

    Raises:
      UserError: the file is not a record or not as it was written.
    """
    path = Path(directory) / FILE
    try:
        return parse(_text(path), path) if path.is_file() else None
    except UserError as error:
        raise UserError(f"{error}; without this file the run is not done, and training it writes the file") from error


def load_runs(root: str | Path) -> list[Record]:
    """The records of all finished runs in `root`, by id."""
    paths = sorted(Path(root).glob(f"*/{FILE}"))
    return [read(path.parent) for path in paths if REPLACED not in path.parent.name]


def load_committed(path: str | Path) -> list[Record]:
    """The records in a file with one a line; none if there is no such file.

    Raises:
      UserError: a line is not a record; it says which.
    """
    path = Path(path)
    if not path.is_file():
        return []
    return [parse(line, path, number) for number, line in enumerate(_text(path).split("\n"), 1) if line.strip()]


def save_committed(path: str | Path, records: Iterable[Record]) -> None:
    """Write `records` to `path`, one a line, by id: the same records always make the same file."""
    lines = [to_json(record) + "\n" for record in sorted(records, key=lambda record: record["id"])]
    storage.write(Path(path), "".join(lines))


def by_config(records: Iterable[Record]) -> dict[Config, Record]:
    """Records by their config in its normal form; of several of one config, the first.

    What is no config today matches nothing.
    """
    records_by_config = {}
    for record in records:
        try:
            records_by_config.setdefault(normal(unflatten(record["config"])), record)
        except UserError:
            continue
    return records_by_config


def find_record(config: Config, runs: str | Path, committed: Iterable[Record] = ()) -> Record | None:
    """The record of `config` in the run directories under `runs`, else among the `committed` ones, else None."""
    own_record = read(Path(runs) / digest(config))
    first = [own_record] if own_record else load_runs(runs)
    return by_config([*first, *committed]).get(normal(config))


def user_code(config: Config) -> dict[str, str]:
    """Fingerprints of the users' own files that `config` names, by spec string; a field is named for its registry."""
    specs = [(name.rpartition(".")[2], value) for name, value in flatten(config).items() if isinstance(value, Spec)]
    return {spec: code for kind, spec in specs if (code := fingerprint(spec, kind))}


def is_done(directory: str | Path, config: Config) -> bool:
    """Whether `directory` has the record of `config`; training.identify tells what else it was made with."""
    record = read(directory)
    return record is not None and normal(config) in by_config([record])


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text (byte {error.start}), so it holds no records") from error
