"""Which records a table or a figure may show together: those of the code that is there now, and of one set of data."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from attn_research.config import Config
from attn_research.errors import UserError
from attn_research.runs import identity
from attn_research.training.run_status import changed_code

Record = Mapping[str, Any]


def of_current_code(
    configs: Iterable[Config], *sources: Mapping[Config, Record]
) -> tuple[dict[Config, Record], dict[Config, str]]:
    """The records of `configs`, each from the first of `sources` that has one made with the users' files of now.

    Nothing but the files that `configs` name is looked at, and nothing that a record names.

    Returns:
      The records, and why the others are left out.
    """
    result, left_out = {}, {}
    for config in configs:
        for records in sources:
            if config not in records:
                continue
            changes = differing_code(records[config], config)
            if not changes:
                result[config] = records[config]
                break
            left_out.setdefault(config, f"{identity.join_distinct(changes)} since it was made")
    return result, {config: reason for config, reason in left_out.items() if config not in result}


def differing_code(record: Record, config: Config) -> list[str]:
    """A phrase for each user's file that is not the one with which a record was made."""
    then = identity.from_json(record.get("identity"))
    try:
        if then is None:
            return changed_code(record, config)
        return identity.compare_code(then.code, identity.hash_code(identity.sources(config)))
    except UserError as error:
        return [str(error)]


def of_one_data_set(result: Mapping[Config, Record]) -> tuple[dict[Config, Record], dict[Config, str]]:
    """The records without those that were made with other data than most records of their task.

    Of as many of each, those of the newest record are taken.

    Returns:
      The records, and why the others are left out.
    """
    selected, left_out = dict(result), {}
    for hash_of in (_ids, _contents):
        for task in dict.fromkeys(config.data.task for config in selected):
            of_task = {config: hash_of(record) for config, record in selected.items() if config.data.task == task}
            known = {config: data for config, data in of_task.items() if data is not None}
            if len(set(known.values())) < 2:
                continue
            counts, newest = Counter(known.values()), {}
            for config, data in known.items():
                newest[data] = max(newest.get(data, ""), str(selected[config].get("date")))
            newest_data = max(counts, key=lambda data: (counts[data], newest[data]))
            for config, data in known.items():
                if data != newest_data:
                    del selected[config]
                    left_out[config] = f"it was made with other data of {task} than the records shown"
    return selected, left_out


def _ids(record: Record) -> str | None:
    return record.get("data")


def _contents(record: Record) -> tuple | None:
    then = record.get("identity")
    return tuple(sorted(then["data"].items())) if then and then["data"] else None
