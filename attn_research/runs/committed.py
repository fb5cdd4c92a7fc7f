"""Committed records: `experiments/results/<name>.jsonl`, one record per line, made small.

What most records of the same data share stands once, in a line `{"shared": {...}}` above them. Their own lines have the
fields that differ. Numbers of single test items are retained for the metrics of the table only. Files of early versions
have whole records, and are read too.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attn_research import storage
from attn_research.runs.record_format import check, parse_object, to_json
from attn_research.runs.records import Record, read_text

SHARED = "shared"
GROUP = "data"  # field of a record that names its shared line
Leaves = dict[tuple[str, ...], Any]


def load_committed(path: str | Path) -> list[Record]:
    """Returns the records in a file; none if the file does not exist.

    Raises:
      UserError: a line is not a record.
    """
    return [check(record, place) for record, place in read_lines(Path(path))]


def read_lines(path: Path) -> list[tuple[Record, str]]:
    """Returns the objects of a file with what they share, and file and line of each; none without the file.

    Raises:
      UserError: a line is not a JSON object.
    """
    if not path.is_file():
        return []
    objects, shared = [], {}
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if line.strip():
            value, place = parse_object(line, path, number)
            if isinstance(value.get(SHARED), dict):
                shared[value[SHARED].get(GROUP)] = _flatten(value[SHARED])
            else:
                objects.append((_nest(shared.get(value.get(GROUP), {}) | _flatten(value)), place))
    return objects


def save_committed(path: str | Path, records: Iterable[Record], measured: set[tuple[str, str]] | None = None) -> None:
    """Writes records, ordered by id. The same records always give the same file.

    Args:
      measured: splits and metrics whose items are retained; None: all.
    """
    if measured is not None:
        records = [_nest(_drop_items(_flatten(record), measured)) for record in records]
    write_lines(Path(path), records)


def write_lines(path: Path, objects: Iterable[Mapping[str, Any]]) -> None:
    """Writes objects with a field `id`, ordered by it, and what those of the same data share only once."""
    groups: dict[Any, list[Leaves]] = defaultdict(list)
    for value in sorted(objects, key=lambda value: value["id"]):
        groups[value.get(GROUP)].append(_flatten(json.loads(to_json(value))))
    lines = []
    for name in sorted(groups, key=str):
        shared = _shared(groups[name]) if name is not None and len(groups[name]) > 1 else {}
        lines += [{SHARED: _nest(shared)}] if shared else []
        lines += [_nest(_own(leaves, shared)) for leaves in groups[name]]
    storage.write(path, "".join(to_json(line) + "\n" for line in lines))


def _shared(records: Sequence[Leaves]) -> Leaves:
    """Returns for each field that all records have its most frequent value, if two records have it."""
    shared = {}
    for name in records[0]:
        if all(name in leaves for leaves in records):
            counts = Counter(_text(leaves[name]) for leaves in records)
            text, count = counts.most_common(1)[0]
            if count > 1 or name == (GROUP,):
                shared[name] = json.loads(text)
    return shared


def _own(leaves: Leaves, shared: Leaves) -> Leaves:
    return {
        name: value
        for name, value in leaves.items()
        if name == (GROUP,) or name not in shared or _text(shared[name]) != _text(value)
    }


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _drop_items(leaves: Leaves, measured: set[tuple[str, str]]) -> Leaves:
    """Leaves out `splits.<split>.items.<metric>` of other splits and metrics, and the attributes of other splits."""
    sliced = {split for split, _ in measured}
    retained = {
        name: value
        for name, value in leaves.items()
        if not (len(name) > 3 and name[0] == "splits" and name[2] == "items" and (name[1], name[3]) not in measured)
        and not (len(name) > 3 and name[0] == "splits" and name[2] == "attributes" and name[1] not in sliced)
    }
    splits = {name[1] for name in leaves if name[0] == "splits" and len(name) > 1}
    with_items = {name[1] for name in retained if len(name) > 2 and name[0] == "splits" and name[2] == "items"}
    return retained | {("splits", split, "items"): {} for split in splits - with_items}


def _flatten(value: Mapping[str, Any], prefix: tuple[str, ...] = ()) -> Leaves:
    """Returns the values by their path. An empty object is a value."""
    leaves: Leaves = {}
    for key, inner in value.items():
        name = (*prefix, key)
        leaves |= _flatten(inner, name) if isinstance(inner, dict) and inner else {name: inner}
    return leaves


def _nest(leaves: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for (*path, last), value in leaves.items():
        inner = result
        for key in path:
            inner = inner.setdefault(key, {})
        inner[last] = value
    return result
