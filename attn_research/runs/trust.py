"""A run's directory is data: the code that it keeps runs only where the user says so, and then no other code does."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attn_research import user_modules
from attn_research.config import Config, flatten, with_spec
from attn_research.errors import UserError
from attn_research.registry import Spec, entry_points
from attn_research.runs import identity, records
from attn_research.runs.environment import versions
from attn_research.runs.identity import Identity

log = logging.getLogger(__name__)


def with_own_code(config: Config, directory: Path, trust: bool) -> Config:
    """The config of a run with every user's function taken from the copy of its file in the run's own directory.

    Raises:
      UserError: there is code of a user in it and `trust` is False (it says what would run), or no copy that is whole.
    """
    then = identity.read(directory)
    specs = {name: spec for name, spec in flatten(config).items() if isinstance(spec, Spec)}
    own = {name: spec for name, spec in specs.items() if _is_user_code(name, spec, then)}
    edited = [phrase for name, spec in own.items() for phrase in _edits(name, spec, then)]
    files = {name: _file(directory, then, name, spec) for name, spec in own.items()}
    if own and not trust:
        where = ", ".join(str(path) for path in dict.fromkeys(files.values()))
        raise UserError(
            f"{directory} was made with {', '.join(dict.fromkeys(own.values()))}, so it would run the code in {where}"
            f"{_format_edits(edited)}; --trust allows it (in Python: load(..., trust=True))"
        )
    if edited:
        log.warning("%s is used with the code that it was made with%s", directory, _format_edits(edited))
    for name, path in files.items():
        config = with_spec(config, name, own[name].taken_from(str(path)))
    return config


def _format_edits(edited: list[str]) -> str:
    return f", though {identity.join_distinct(edited)} since" if edited else ""


def _is_user_code(name: str, spec: Spec, then: Identity | None) -> bool:
    """Whether the code is neither ours nor that of an installed package, as it is now."""
    if spec.module:
        return spec.module.partition(".")[0] != user_modules.PACKAGE
    return spec.name in entry_points(name.rpartition(".")[2]) and bool(_edits(name, spec, then))


def _edits(name: str, spec: Spec, then: Identity | None) -> list[str]:
    """In what the files of a spec are others now than in the run; nothing if they are not there or not recorded."""
    if then is None or name not in then.code:
        return []
    try:
        return identity.compare_code(
            {name: then.code[name]}, {name: identity.hash_code(_current_source(name, spec))[name]}
        )
    except UserError:
        return []


def _current_source(name: str, spec: Spec) -> Mapping[str, Any]:
    module = spec.module or entry_points(name.rpartition(".")[2])[spec.name].module
    return {name: user_modules.read(module)}


def _file(directory: Path, then: Identity | None, name: str, spec: Spec) -> Path:
    """The run's copy; of a run from before copies were kept, the file itself, if it is the one in the record."""
    if then is not None and name in then.code:
        return identity.stored_file(directory, then, name)
    record, now = records.read(directory), _current_source(name, spec)[name]
    if record is None or record.get("user_code", {}).get(spec) != now.hashes()[now.main_path]:
        raise UserError(f"{directory} keeps no copy of its own code, and {now.main.path} is not known to be that code")
    return now.main.path


def tell_versions(directory: Path) -> None:
    """Says in a sentence with which other versions a run was made, or that this is not recorded."""
    then = identity.read(directory)
    if then is None:
        log.warning("what made %s is not recorded, so it is not compared with what there is now", directory)
    elif phrases := identity.changes(then.versions, versions()):
        log.warning("%s was made with other versions: %s", directory, ", ".join(phrases))


def warn_unrecorded(result: list[records.Record], what: str) -> None:
    """Says in a sentence how many records do not tell what made them."""
    count = sum(record.get("identity") is None for record in result)
    if count:
        log.warning(
            "what made %d of %d records of %s is not recorded, so they are not compared", count, len(result), what
        )
