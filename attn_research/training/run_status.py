"""The status of a run directory: new, started or finished, and how its identity differs from the current one.

`runs.identity` stores and compares identities. This module computes the current one, which needs the data.
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
from attn_research.runs.environment import Settings, environment, versions
from attn_research.runs.identity import Differences, Identity
from attn_research.user_modules import Source

FRESH_HINT = "--fresh trains such a run again and keeps the old one beside it"
NO_DIFFERENCES = Differences([], [])
log = logging.getLogger(__name__)


class RunStatus(NamedTuple):
    """The status of a run and its differences from a new run of the same config."""

    directory: Path
    started: bool  # has a checkpoint or a record
    outcome: str | None  # `status` of its record; None: the run is not finished
    has_identity: bool  # its identity is recorded
    differences: Differences

    @classmethod
    def new(cls, directory: Path) -> "RunStatus":
        """Returns the status of a run that has not started."""
        return cls(directory, False, None, True, NO_DIFFERENCES)

    @property
    def finished(self) -> bool:
        """Whether the run has a record."""
        return self.outcome is not None

    @property
    def conflicts(self) -> list[str]:
        """The differences that forbid to use a finished run, or to resume a started one."""
        return self.differences.content if self.finished else self.differences.all


def identify(config: Config, settings: Settings, with_data: bool = True) -> Identity:
    """Returns the identity that a new run of `config` would have.

    Raises:
      UserError: the data or a user file is missing.
    """
    from attn_research.data.fingerprint import fingerprint

    data = dict(fingerprint(config.data.task)) if with_data else {}
    return Identity(data, identity.hash_code(identity.sources(config)), versions(), settings, None)


def check_run(directory: Path, config: Config, settings: Callable[[], Settings]) -> RunStatus:
    """Compares a run's directory with a new run of the same config.

    Args:
      settings: returns the settings of the new run; called only if the run has started.

    Raises:
      UserError: the data or a user file is missing, and the run is not finished.
    """
    record = records.read(directory)
    if record is not None and not records.matches(record, config):
        record = None
    outcome = None if record is None else record["status"]
    if record is None and not has_checkpoint(directory):
        return RunStatus.new(directory)
    try:
        then = identity.read(directory)
    except UserError as error:
        return RunStatus(directory, True, outcome, True, Differences([str(error)], []))
    if then is None:
        code = changed_code(record, config) if record is not None else []
        return RunStatus(directory, True, outcome, False, Differences(code, []))
    now = _identify(config, settings(), directory, record is not None)
    return RunStatus(directory, True, outcome, True, identity.compare(then, now, str(config.data.task)))


def _identify(config: Config, settings: Settings, directory: Path, finished: bool) -> Identity:
    """As `identify`. If the data of a finished run is missing, warns and leaves the data out of the comparison."""
    try:
        return identify(config, settings)
    except UserError as error:
        if not finished:
            raise
        log.warning("the data of %s is not compared: %s", directory, error)
        return identify(config, settings, with_data=False)


def changed_code(record: Mapping[str, Any], config: Config) -> list[str]:
    """Returns a phrase for each user file that changed since a record without identity."""
    then, now = record.get("user_code", {}), records.user_code(config)
    return [f"{spec} was edited" for spec in dict.fromkeys([*then, *now]) if then.get(spec) != now.get(spec)]


def has_checkpoint(directory: Path) -> bool:
    """Returns whether the run's directory has a checkpoint."""
    return any(path.name.isdigit() for path in directory.glob("checkpoints/*/*"))


def reject_changed(statuses: Iterable[RunStatus]) -> None:
    """Raises a UserError if a run has conflicts."""
    statuses = list(statuses)
    rejected = [status for status in statuses if status.conflicts]
    if rejected:
        first = rejected[0].directory
        subject = (
            f"{first} was" if len(statuses) == 1 else f"{len(rejected)} of {len(statuses)} runs ({first} first) were"
        )
        phrases = identity.join_distinct(phrase for status in rejected for phrase in status.conflicts)
        raise UserError(f"{subject} made with other data, code or settings: {phrases}; {FRESH_HINT}")


def warn_differences(statuses: Iterable[RunStatus]) -> None:
    """Warns about runs that were made in another environment, and about runs without a recorded identity."""
    statuses = [status for status in statuses if status.started]
    changed = [status for status in statuses if status.differences.environment]
    unknown = [status for status in statuses if not status.has_identity]
    if changed:
        phrases = identity.join_distinct(phrase for status in changed for phrase in status.differences.environment)
        log.warning(
            "%s is used, though it was made with other settings: %s; %s", _format_first(changed), phrases, FRESH_HINT
        )
    if unknown:
        log.warning("%s has no recorded identity, so it is not compared", _format_first(unknown))


def _format_first(statuses: list[RunStatus]) -> str:
    rest = f" (and {len(statuses) - 1} more)" if len(statuses) > 1 else ""
    return f"{statuses[0].directory}{rest}"


@contextlib.contextmanager
def set_aside(directory: Path) -> Iterator[None]:
    """Renames a run's directory, if it exists, so that the run can be trained again in the context.

    After an exception before the new run has started, the old name is restored.
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
        log.warning("the old run of %s is in %s now", directory, aside)


def start_run(
    directory: Path, config: Config, settings: Settings, sources: Mapping[str, Source] | None = None
) -> Identity | None:
    """Writes the identity of a new run, or compares that of a started run with the current one.

    Args:
      sources: the user files that this process has imported; None: the files as they are now.

    Returns:
      The identity with which the run started; None if it is not recorded.

    Raises:
      UserError: the run started with another identity; nothing has been written.
    """
    status = check_run(directory, config, lambda: settings)
    status = status._replace(outcome=None)  # training would resume it, so all differences count
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
    if then is not None and then.commit != commit:
        log.warning("%s started at commit %s and resumes at %s", directory, then.commit, commit)
    identity.write_code(directory, user_sources)
    return then
