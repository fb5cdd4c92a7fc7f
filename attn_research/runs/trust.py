"""Trust: the code that a run's directory keeps runs only if the user allows it, and then in place of any newer code."""

import logging
from pathlib import Path

from attn_research import user_modules
from attn_research.config import Config
from attn_research.errors import UserError
from attn_research.registry import Spec
from attn_research.runs import identity, records
from attn_research.runs.identity import Identity
from attn_research.user_modules import Source
from attn_research.variants import is_installed, replace_spec, source, specs

log = logging.getLogger(__name__)


def with_own_code(config: Config, directory: Path, trust: bool) -> Config:
    """Returns the config of a run with every user function taken from the copy of its file in the run's directory.

    Raises:
      UserError: the config names user code and `trust` is False (the message says which code would run), or the copy
        is missing or was edited.
    """
    then = identity.read(directory)
    own = {name: spec for name, spec in specs(config).items() if _is_user_code(name, spec, then)}
    edits = [phrase for name, spec in own.items() for phrase in _edits(name, spec, then)]
    files = {name: _own_file(directory, then, name, spec) for name, spec in own.items()}
    if own and not trust:
        where = ", ".join(str(path) for path in dict.fromkeys(files.values()))
        raise UserError(
            f"{directory} was made with {', '.join(dict.fromkeys(own.values()))}, so it would run the code in {where}"
            f"{_format_edits(edits)}; --trust allows it (in Python: load(..., trust=True))"
        )
    if edits:
        log.warning("%s is used with the code that it was made with%s", directory, _format_edits(edits))
    for name, path in files.items():
        config = replace_spec(config, name, own[name].from_file(str(path)))
    return config


def _format_edits(edits: list[str]) -> str:
    return f", though {identity.join_distinct(edits)} since" if edits else ""


def _is_user_code(name: str, spec: Spec, then: Identity | None) -> bool:
    """Returns whether the variant is a user's. An installed package counts only if it changed since the run."""
    if spec.module:
        return spec.module.partition(".")[0] != user_modules.PACKAGE
    return is_installed(spec, name) and bool(_edits(name, spec, then))


def _edits(name: str, spec: Spec, then: Identity | None) -> list[str]:
    """Returns how the files of a spec changed since the run; nothing if they are missing or not recorded."""
    if then is None or name not in then.code:
        return []
    try:
        return identity.compare_code({name: then.code[name]}, identity.hash_code({name: _current_source(name, spec)}))
    except UserError:
        return []


def _current_source(name: str, spec: Spec) -> Source:
    result = source(spec, name)
    if result is None:
        raise UserError(f"{spec} of {name} is a built-in variant now")
    return result


def _own_file(directory: Path, then: Identity | None, name: str, spec: Spec) -> Path:
    """Returns the run's copy of the file. An early run has none: then the file itself, if the record has its hash."""
    if then is not None and name in then.code:
        return identity.stored_file(directory, then, name)
    record, now = records.read(directory), _current_source(name, spec)
    if record is None or record.get("user_code", {}).get(spec) != now.hashes()[now.main_path]:
        raise UserError(
            f"{directory} has no copy of its user code, and {now.main.path} is not known to be the same code"
        )
    return now.main.path
