"""What made a run: data, the user's code, versions and settings, compared by everything that opens the run.

`runs/<id>/identity.json` is written before anything else in the run's directory; the texts of the user's code stand in
`runs/<id>/code/<config field>/`. A run from before this was kept has none: what made it is not recorded.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from attn_research import storage
from attn_research.config import Config, flatten
from attn_research.errors import UserError
from attn_research.registry import Spec, source
from attn_research.runs.settings import DEVICE_SETTINGS
from attn_research.user_modules import Source

FILE = "identity.json"
CODE = "code"


class Identity(NamedTuple):
    """JSON values alone."""

    data: Mapping[str, str]  # a hash for each split
    code: Mapping[str, Mapping[str, Any]]  # by config field: `main`, the file that its spec names, and `files`: hashes
    versions: Mapping[str, str | None]
    settings: Mapping[str, Any]  # as in runs.settings
    commit: str | None


class Differences(NamedTuple):
    """In what two identities differ, a phrase for each."""

    content: list[str]  # data and code: the run is another one
    environment: list[str]  # versions and settings: the same run, made otherwise

    @property
    def all(self) -> list[str]:
        return self.content + self.environment


def sources(config: Config) -> dict[str, Source]:
    """The users' files that `config` names, as they are now, by config field; nothing is imported."""
    specs = {name: value for name, value in flatten(config).items() if isinstance(value, Spec)}
    code_sources = {name: source(spec, name.rpartition(".")[2]) for name, spec in specs.items()}
    return {name: one for name, one in code_sources.items() if one is not None}


def hash_code(code_sources: Mapping[str, Source]) -> dict[str, dict[str, Any]]:
    """The `code` of an identity."""
    return {name: {"main": one.main_path, "files": one.hashes()} for name, one in code_sources.items()}


def read(directory: Path) -> Identity | None:
    """The identity in a run's directory; None if it is not recorded.

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
    """What `Identity._asdict` gave; None where it is not recorded.

    Raises:
      UserError: it is no identity.
    """
    if value is None:
        return None
    if not all(isinstance(value.get(name), dict) for name in Identity._fields[:4]):
        raise UserError("what made the run is not told in the form of an identity")
    return Identity(*(value.get(name) for name in Identity._fields))


def write(directory: Path, identity: Identity, code_sources: Mapping[str, Source]) -> None:
    """Writes identity.json, and then the texts of the users' files."""
    storage.write(directory / FILE, json.dumps(identity._asdict(), indent=1, sort_keys=True) + "\n")
    write_code(directory, code_sources)


def write_code(directory: Path, code_sources: Mapping[str, Source]) -> None:
    """Writes the texts of the users' files, and no others."""
    storage.remove(directory / CODE)
    for name, one in code_sources.items():
        for path, text in one.texts().items():
            storage.write(directory / CODE / name / path, text)


def stored_file(directory: Path, identity: Identity, field: str) -> Path:
    """The run's own copy of the file that a config field names.

    Raises:
      UserError: the copy is not there, or is not the text that the run was made with.
    """
    folder = directory / CODE / field
    for path, expected in identity.code[field]["files"].items():
        if not (folder / path).is_file() or _hash((folder / path).read_bytes()) != expected:
            raise UserError(f"{folder / path} is missing or was edited, so the run's own code cannot be used")
    return folder / identity.code[field]["main"]


def _hash(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:16]


def compare(then: Identity, now: Identity, task: str) -> Differences:
    """In what a run differs from what would make it now; settings that `now` does not know are not compared.

    Args:
      task: names the data.
    """
    splits = _changed_keys(then.data, now.data) if now.data else []
    data = [f"the data of {task} are others (split {', '.join(splits)})"] if splits else []
    versions = changes(then.versions, now.versions)
    unknown = {name for name in DEVICE_SETTINGS if name not in now.settings}
    settings = changes({name: value for name, value in then.settings.items() if name not in unknown}, now.settings)
    return Differences(data + compare_code(then.code, now.code), versions + settings)


def compare_code(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The users' files in which two `code`s differ."""
    phrases = []
    for field in dict.fromkeys([*then, *now]):
        old, new = (code[field]["files"] if field in code else {} for code in (then, now))
        phrases += [f"{path} of {field} {_describe_change(path, old, new)}" for path in _changed_keys(old, new)]
    return phrases


def _describe_change(path: str, old: Mapping[str, str], new: Mapping[str, str]) -> str:
    if path not in old:
        return "is new"
    return "was edited" if path in new else "is gone"


def _changed_keys(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return [name for name in dict.fromkeys([*old, *new]) if old.get(name) != new.get(name)]


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """A phrase for each name whose value differs."""
    return [
        f"{name} was {format_setting(old.get(name))} and is {format_setting(new.get(name))}"
        for name in _changed_keys(old, new)
    ]


def format_setting(value: Any) -> str:
    """A setting's value in a sentence."""
    return "not set" if value is None else str(value)


def join_distinct(phrases: Iterable[str]) -> str:
    """Phrases as a list in a sentence, each once."""
    return ", ".join(dict.fromkeys(phrases))
