"""Records of finished runs: `runs/<id>/result.json`. Committed ones are in `runs.committed`.

A record is a dict of JSON values. Its presence means that the run is done. A record matches a config by value: after a
new config field with a default that keeps the behavior, old records still match.
"""

import base64
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from attn_research import storage
from attn_research.config import Config, digest, flatten, unflatten
from attn_research.errors import UserError
from attn_research.runs.record_format import parse, to_json
from attn_research.variants import canonical, fingerprint, specs

FILE = "result.json"
REPLACED = ".replaced-"  # in the name of a directory that --fresh replaced
Record = dict[str, Any]


def pack(array: np.ndarray) -> str:
    """Encodes integers from 0 to 65,535, one per item, as text: base64 of zlib of little-endian uint16.

    Raises:
      UserError: a number is out of range.
    """
    array = np.asarray(array)
    if array.size and not 0 <= array.min() <= array.max() < 2**16:
        raise UserError(f"items from {array.min()} to {array.max()} cannot be packed; the range is 0 to 65535")
    return base64.b64encode(zlib.compress(array.astype("<u2").tobytes(), 9)).decode()


def unpack(text: str) -> np.ndarray:
    """Decodes the text of `pack` to int64 [n].

    Raises:
      UserError: the text is damaged.
    """
    try:
        return np.frombuffer(zlib.decompress(base64.b64decode(text)), "<u2").astype(int)
    except (ValueError, TypeError, zlib.error) as error:
        raise UserError(f"the items {text[:20]!r}... of a record are damaged: {error}") from error


def pack_attributes(attributes: Mapping[str, Sequence[int] | Sequence[str]]) -> dict[str, Any]:
    """Encodes the attributes of a split's items: numbers by `pack`, strings as a list and the packed index of each."""
    return {name: _pack_attribute(values) for name, values in attributes.items()}


def _pack_attribute(values: Sequence[int] | Sequence[str]) -> str | dict[str, Any]:
    if not isinstance(values[0], str):
        return pack(np.array(values))
    labels, codes = np.unique(values, return_inverse=True)
    return {"labels": labels.tolist(), "codes": pack(codes)}


def unpack_attribute(packed: str | Mapping[str, Any]) -> np.ndarray:
    """Decodes an attribute: int64 or str [n]."""
    return unpack(packed) if isinstance(packed, str) else np.array(packed["labels"])[unpack(packed["codes"])]


def write(directory: str | Path, record: Mapping[str, Any]) -> None:
    """Writes `result.json` atomically. Numbers that are not finite become null."""
    storage.write(Path(directory) / FILE, to_json(record, indent=1, checked=True) + "\n")


def read(directory: str | Path) -> Record | None:
    """Returns the record in `directory`, or None if the run is not done.

    Raises:
      UserError: the file is not a record or does not match its checksum.
    """
    path = Path(directory) / FILE
    try:
        return parse(read_text(path), path) if path.is_file() else None
    except UserError as error:
        raise UserError(f"{error}; remove the file and train the run again to write it anew") from error


def load_runs(root: str | Path) -> list[Record]:
    """Returns the records of all finished runs in `root`, ordered by id."""
    paths = sorted(Path(root).glob(f"*/{FILE}"))
    return [record for path in paths if REPLACED not in path.parent.name and (record := read(path.parent))]


def by_config(records: Iterable[Record]) -> dict[Config, Record]:
    """Returns the records by canonical config; the first one if several have the same.

    Records whose config is no longer valid are left out.
    """
    records_by_config: dict[Config, Record] = {}
    for record in records:
        try:
            records_by_config.setdefault(canonical(unflatten(record["config"])), record)
        except UserError:
            continue
    return records_by_config


def find_record(config: Config, runs: str | Path, committed: Iterable[Record] = ()) -> Record | None:
    """Returns the record of `config` from the directories in `runs`, else from `committed`, else None."""
    own_record = read(Path(runs) / digest(config))
    first = [own_record] if own_record else load_runs(runs)
    return by_config([*first, *committed]).get(canonical(config))


def user_code(config: Config) -> dict[str, str]:
    """Returns the fingerprints of the user files that `config` names, by spec string."""
    return {spec: code for name, spec in specs(config).items() if (code := fingerprint(spec, name))}


def is_done(directory: str | Path, config: Config) -> bool:
    """Returns whether `directory` has the record of `config`, whatever data and code made it."""
    return outcome(directory, config) is not None


def outcome(directory: str | Path, config: Config) -> str | None:
    """Returns `status` of the record of `config` in `directory`; None if it has none."""
    record = read(directory)
    return record["status"] if record is not None and matches(record, config) else None


def matches(record: Record, config: Config) -> bool:
    """Returns whether a record is that of `config`, by value."""
    return record["config"] == flatten(config) or canonical(config) in by_config([record])


def holds(directory: str | Path, record: Mapping[str, Any]) -> bool:
    """Returns whether the record in `directory` is `record`, to whose splits evaluations and metrics may be added."""
    own = read(directory)
    return own is not None and {**own, "splits": record["splits"]} == record


def read_text(path: Path) -> str:
    """Returns the text of a file with records.

    Raises:
      UserError: it is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text (byte {error.start}), so it has no records") from error
