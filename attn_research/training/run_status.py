"""How a run's directory stands to what its config would make now: new, to go on with, done, or made with other things.

The comparison itself is in runs.identity; here stands what needs the data.
"""

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from attn_research.config import Config
from attn_research.errors import UserError
from attn_research.runs import identity, records
from attn_research.runs.environment import environment, versions
from attn_research.runs.identity import Differences, Identity
from attn_research.runs.settings import Settings
from attn_research.user_modules import Source

FRESH_HINT = "--fresh makes such a run anew and keeps the old one beside it"
NO_DIFFERENCES = Differences([], [])
log = logging.getLogger(__name__)


class RunStatus(NamedTuple):
    """What there is of a run, and in what it differs from what would be made now."""

    directory: Path
    started: bool  # it has a checkpoint to go on from, or a record
    finished: bool  # it has a record
    has_identity: bool  # what made it is known
    differences: Differences

    @classmethod
    def new(cls, directory: Path) -> "RunStatus":
        """Of a run that is not begun."""
        return cls(directory, False, False, True, NO_DIFFERENCES)

    @property
    def conflicts(self) -> list[str]:
        """The differences that forbid to take the run for the one of its config, or to go on with it."""
        return self.differences.content if self.finished else self.differences.all


def identify(config: Config, settings: Settings, with_data: bool = True) -> Identity:
    """What would make the run of `config` now.

    Raises:
      UserError: data or a user's file that are not there.
    """
    from attn_research.data.fingerprint import fingerprint

    data = dict(fingerprint(config.data.task)) if with_data else {}
    return Identity(data, identity.hash_code(identity.sources(config)), versions(), settings, None)


def check_run(directory: Path, config: Config, settings: Callable[[], Settings]) -> RunStatus:
    """Compares what is in a run's directory with what its config would make now.

    Args:
      settings: gives those with which it would be made; is called if there is something to compare.

    Raises:
      UserError: data or a user's file that are not there, though the run is not done.
    """
    record = records.read(directory)
    finished = record is not None and records.is_done(directory, config)
    if not (finished or has_checkpoint(directory)):
        return RunStatus.new(directory)
    try:
        then = identity.read(directory)
    except UserError as error:
        return RunStatus(directory, True, finished, True, Differences([str(error)], []))
    if then is None:
        code = changed_code(record, config) if finished else []
        return RunStatus(directory, True, finished, False, Differences(code, []))
    now = _identify(config, settings(), directory, finished)
    return RunStatus(directory, True, finished, True, identity.compare(then, now, str(config.data.task)))


def _identify(config: Config, settings: Settings, directory: Path, finished: bool) -> Identity:
    """As `identify`; a finished run is not lost with its data, but then they are not compared, which is told."""
    try:
        return identify(config, settings)
    except UserError as error:
        if not finished:
            raise
        log.warning("the data of %s cannot be compared: %s", directory, error)
        return identify(config, settings, with_data=False)


def changed_code(record: Mapping[str, Any], config: Config) -> list[str]:
    """The users' files that are not those of a record without an identity."""
    then, now = record.get("user_code", {}), records.user_code(config)
    return [f"{spec} was edited" for spec in dict.fromkeys([*then, *now]) if then.get(spec) != now.get(spec)]


def has_checkpoint(directory: Path) -> bool:
    """Whether a training state was saved in a run's directory."""
    return any(path.name.isdigit() for path in directory.glob("checkpoints/*/*"))


def reject_changed(statuses: Iterable[RunStatus]) -> None:
    """Raises a UserError if a run was made with other things than are there now."""
    statuses = list(statuses)
    rejected = [status for status in statuses if status.conflicts]
    if rejected:
        first = rejected[0].directory
        which = str(first) if len(statuses) == 1 else f"{len(rejected)} of {len(statuses)} runs ({first} first)"
        phrases = identity.join_distinct(phrase for status in rejected for phrase in status.conflicts)
        raise UserError(f"{which}: made with something else than there is now: {phrases}; {FRESH_HINT}")


def warn_differences(statuses: Iterable[RunStatus]) -> None:
    """Says in a sentence of each kind which finished runs were made in another environment, or are not recorded."""
    statuses = [status for status in statuses if status.started]
    changed = [status for status in statuses if status.differences.environment]
    unknown = [status for status in statuses if not status.has_identity]
    if changed:
        phrases = identity.join_distinct(phrase for status in changed for phrase in status.differences.environment)
        log.warning("%s taken as it is, though made with other settings: %s; %s", _which(changed), phrases, FRESH_HINT)
    if unknown:
        log.warning("what made %s is not recorded, so it is not compared with what there is now", _which(unknown))


def _which(statuses: list[RunStatus]) -> str:
    rest = f" (and {len(statuses) - 1} more)" if len(statuses) > 1 else ""
    return f"{statuses[0].directory}{rest}"


@contextlib.contextmanager
def set_aside(directory: Path) -> Iterator[None]:
    """Renames a run's directory, if there is one, so that the run can be made anew inside the context.

    If the context is left by an exception before the new run has begun, the old name is restored.
    """
    date = datetime.now().strftime("%Y%m%d-%H%M%S-%f")
    aside = directory.with_name(f"{directory.name}{records.REPLACED}{date}")
    renamed = directory.exists() and directory.rename(aside)
    try:
        yield
    except BaseException:
        if renamed and not directory.exists():
            aside.rename(directory)
        raise
    if renamed:
        log.warning("the run that was in %s is in %s now", directory, aside)


def start_run(
    directory: Path, config: Config, settings: Settings, sources: Mapping[str, Source] | None = None
) -> Identity | None:
    """Writes what makes the run, before anything else is written, or compares it with what made it so far.

    Args:
      sources: the users' files that this process has imported; None: those that are there now.

    Returns:
      The identity of the whole run; None if what began it is not recorded.

    Raises:
      UserError: the run was begun with something else; nothing has been written.
    """
    status = check_run(directory, config, lambda: settings)
    status = status._replace(finished=False)  # whatever there is, training would go on from it
    reject_changed([status])
    warn_differences([status])
    if not status.has_identity:
        return None
    commit = environment()["commit"]
    user_sources = identity.sources(config) if sources is None else sources
    if not status.started:
        now = identify(config, settings)._replace(code=identity.hash_code(user_sources), commit=commit)
        identity.write(directory, now, user_sources)
        return now
    then = identity.read(directory)
    if then.commit != commit:
        log.warning("%s was begun at commit %s and goes on at %s", directory, then.commit, commit)
    identity.write_code(directory, user_sources)
    return then
