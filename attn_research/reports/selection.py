"""Selects the records that a table or figure can show together: of the current code, and of the same data."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from attn_research.config import Config
from attn_research.errors import UserError
from attn_research.runs import identity
from attn_research.training.run_status import changed_code

Record = Mapping[str, Any]


def select_current_code(
    configs: Iterable[Config], *sources: Mapping[Config, Record]
) -> tuple[dict[Config, Record], dict[Config, str]]:
    """Selects for each config the first record of `sources` that comes from the current version of the users' files.

    Reads only files that `configs` name, none that a record names.

    Returns:
      The records, and the reason for each config whose records are left out.
    """
    selected: dict[Config, Record] = {}
    left_out: dict[Config, str] = {}
    for config in configs:
        for records in sources:
            if config not in records:
                continue
            changes = _code_changes(records[config], config)
            if not changes:
                selected[config] = records[config]
                break
            left_out.setdefault(config, f"{identity.join_distinct(changes)} since it was made")
    return selected, {config: reason for config, reason in left_out.items() if config not in selected}


def _code_changes(record: Record, config: Config) -> list[str]:
    """Returns a phrase for each user's file that differs from the version that a record comes from."""
    recorded = identity.from_json(record.get("identity"))
    try:
        if recorded is None:
            return changed_code(record, config)
        return identity.compare_code(recorded.code, identity.hash_code(identity.sources(config)))
    except UserError as error:
        return [str(error)]


def select_same_data(records: Mapping[Config, Record]) -> tuple[dict[Config, Record], dict[Config, str]]:
    """Leaves out the records whose data differ from those of most records of their task.

    If two versions of the data have equally many records, the version of the newest record wins.

    Returns:
      The records, and the reason for each config whose record is left out.
    """
    selected, left_out = dict(records), {}
    for hash_of in (_ids, _contents):
        for task in dict.fromkeys(config.data.task for config in selected):
            hashes = {config: hash_of(record) for config, record in selected.items() if config.data.task == task}
            hashes = {config: data for config, data in hashes.items() if data is not None}
            majority = _majority(hashes, selected)
            for config in [config for config, data in hashes.items() if data != majority]:
                del selected[config]
                left_out[config] = f"its data of {task} differ from those of the other records"
    return selected, left_out


def _majority(hashes: Mapping[Config, Any], records: Mapping[Config, Record]) -> Any:
    """Returns the most frequent hash; of equally frequent ones, that of the newest record."""
    counts = Counter(hashes.values())
    newest: dict[Any, str] = {}
    for config, data in hashes.items():
        newest[data] = max(newest.get(data, ""), str(records[config].get("date")))
    return max(counts, key=lambda data: (counts[data], newest[data]), default=None)


def _ids(record: Record) -> str | None:
    return record.get("data")


def _contents(record: Record) -> tuple | None:
    recorded = record.get("identity")
    return tuple(sorted(recorded["data"].items())) if recorded and recorded["data"] else None
