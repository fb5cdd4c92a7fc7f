"""The identity of a run: the data, user code, versions and settings that made it, and how two identities differ.

`identity.json` is the first file in a run's directory. The user code is copied to `code/<config field>/` beside it.
Runs of early versions have no identity.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from attn_research import storage
from attn_research.config import Config
from attn_research.errors import UserError
from attn_research.runs.environment import DEVICE_SETTINGS, versions
from attn_research.user_modules import Source
from attn_research.variants import source, specs

FILE = "identity.json"
CODE = "code"
log = logging.getLogger(__name__)


class Identity(NamedTuple):
    """What made a run, as JSON values."""

    data: Mapping[str, str]  # hash of each split
    code: Mapping[str, Mapping[str, Any]]  # by config field: `main`, the file of the spec, and `files`, hashes by path
    versions: Mapping[str, str | None]
    settings: Mapping[str, Any]  # as `environment.settings` returns them
    commit: str | None


class Differences(NamedTuple):
    """How two identities differ, one phrase per difference."""

    content: list[str]  # data and code: another run
    environment: list[str]  # versions and settings: the same run in another environment

    @property
    def all(self) -> list[str]:
        return self.content + self.environment


def sources(config: Config) -> dict[str, Source]:
    """Returns the user files that `config` names, as they are now, by config field. Nothing is imported."""
    code_sources = {name: source(spec, name) for name, spec in specs(config).items()}
    return {name: one for name, one in code_sources.items() if one is not None}


def hash_code(code_sources: Mapping[str, Source]) -> dict[str, dict[str, Any]]:
    """Returns the `code` of an identity."""
    return {name: {"main": one.main_path, "files": one.hashes()} for name, one in code_sources.items()}


def read(directory: Path) -> Identity | None:
    """Returns the identity in a run's directory; None if it is not recorded.

    Raises:
      UserError: the file is damaged.
    """
    path = directory / FILE
    if not path.is_file():
        return None
    try:
        return from_json(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, AttributeError) as error:
        raise UserError(f"{path} is damaged") from error


def from_json(value: Mapping[str, Any] | None) -> Identity | None:
    """Returns the identity that `Identity._asdict` wrote; None if it is not recorded.

    Raises:
      UserError: the value is not an identity.
    """
    if value is None:
        return None
    if not all(isinstance(value.get(name), dict) for name in Identity._fields[:4]):
        raise UserError("the identity of the run has missing fields")
    fields: dict[str, Any] = {name: value.get(name) for name in Identity._fields}
    return Identity(**fields)


def write(directory: Path, identity: Identity, code_sources: Mapping[str, Source]) -> None:
    """Writes identity.json, and then the user files."""
    storage.write(directory / FILE, json.dumps(identity._asdict(), indent=1, sort_keys=True) + "\n")
    write_code(directory, code_sources)


def write_code(directory: Path, code_sources: Mapping[str, Source]) -> None:
    """Replaces the copy of the user files."""
    storage.remove(directory / CODE)
    for name, one in code_sources.items():
        for path, text in one.texts().items():
            storage.write(directory / CODE / name / path, text)


def stored_file(directory: Path, identity: Identity, field: str) -> Path:
    """Returns the run's copy of the file that a config field names.

    Raises:
      UserError: a copied file is missing or was edited.
    """
    folder = directory / CODE / field
    for path, expected in identity.code[field]["files"].items():
        if not (folder / path).is_file() or _hash((folder / path).read_bytes()) != expected:
            raise UserError(f"{folder / path} is missing or was edited, so the run's own code cannot be used")
    return folder / identity.code[field]["main"]


def _hash(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:16]


def compare(then: Identity, now: Identity, task: str) -> Differences:
    """Compares the identity of a run with the one that a new run would have.

    Settings that `now` lacks are not compared, nor is the data if `now` has no hashes of it.

    Args:
      task: the name of the data in messages.
    """
    splits = _changed_keys(then.data, now.data) if now.data else []
    data = [f"the data of {task} differ (split {', '.join(splits)})"] if splits else []
    version_changes = changes(then.versions, now.versions)
    unknown = {name for name in DEVICE_SETTINGS if name not in now.settings}
    settings = changes({name: value for name, value in then.settings.items() if name not in unknown}, now.settings)
    return Differences(data + compare_code(then.code, now.code), version_changes + settings)


def compare_code(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Returns a phrase for each user file in which two `code` values differ."""
    phrases = []
    for field in dict.fromkeys([*then, *now]):
        old, new = (code[field]["files"] if field in code else {} for code in (then, now))
        phrases += [f"{path} of {field} {_describe_change(path, old, new)}" for path in _changed_keys(old, new)]
    return phrases


def _describe_change(path: str, old: Mapping[str, str], new: Mapping[str, str]) -> str:
    if path not in old:
        return "is new"
    return "was edited" if path in new else "is missing"


def _changed_keys(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return [name for name in dict.fromkeys([*old, *new]) if old.get(name) != new.get(name)]


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Returns a phrase for each name whose value differs."""
    return [
        f"{name} was {format_setting(old.get(name))} and is {format_setting(new.get(name))}"
        for name in _changed_keys(old, new)
    ]


def format_setting(value: Any) -> str:
    """Returns the value of a setting for a sentence."""
    return "not set" if value is None else str(value)


def join_distinct(phrases: Iterable[str]) -> str:
    """Joins phrases with commas, without duplicates."""
    return ", ".join(dict.fromkeys(phrases))


def warn_versions(directory: Path) -> None:
    """Warns if a run was made with other versions, or if its versions are not recorded."""
    then = read(directory)
    if then is None:
        log.warning("%s has no recorded identity, so its versions are not compared", directory)
    elif phrases := changes(then.versions, versions()):
        log.warning("%s was made with other versions: %s", directory, ", ".join(phrases))


def warn_unrecorded(records: Sequence[Mapping[str, Any]], name: str) -> None:
    """Warns if records of the experiment `name` have no identity."""
    if count := sum(record.get("identity") is None for record in records):
        log.warning("%d of %d records of %s have no identity, so they are not compared", count, len(records), name)
