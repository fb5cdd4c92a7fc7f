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

FRESH = "--fresh makes such a run anew and keeps the old one beside it"
SAME = Differences([], [])
log = logging.getLogger(__name__)


class Standing(NamedTuple):
    """What there is of a run, and in what it differs from what would be made now."""

    directory: Path
    begun: bool  # it has a checkpoint to go on from, or a record
    done: bool  # it has a record
    recorded: bool  # what made it is known
    differences: Differences

    @classmethod
    def new(cls, directory: Path) -> "Standing":
        """Of a run that is not begun."""
        return cls(directory, False, False, True, SAME)

    @property
    def refusal(self) -> list[str]:
        """The differences that forbid to take the run for the one of its config, or to go on with it."""
        return self.differences.content if self.done else self.differences.all


def identify(config: Config, settings: Settings, with_data: bool = True) -> Identity:
    """What would make the run of `config` now.

    Raises:
      UserError: data or a user's file that are not there.
    """
    from attn_research.data.fingerprint import fingerprint

    data = dict(fingerprint(config.data.task)) if with_data else {}
    return Identity(data, identity.hash_code(identity.sources(config)), versions(), settings, None)


def stand(directory: Path, config: Config, settings: Callable[[], Settings]) -> Standing:
    """Compares what is in a run's directory with what its config would make now.

    Args:
      settings: gives those with which it would be made; is called if there is something to compare.

    Raises:
      UserError: data or a user's file that are not there, though the run is not done.
    """
    record = records.read(directory)
    done = record is not None and records.is_done(directory, config)
    if not (done or has_checkpoint(directory)):
        return Standing.new(directory)
    try:
        then = identity.read(directory)
    except UserError as error:
        return Standing(directory, True, done, True, Differences([str(error)], []))
    if then is None:
        code = changed_code(record, config) if done else []
        return Standing(directory, True, done, False, Differences(code, []))
    now = _identify(config, settings(), directory, done)
    return Standing(directory, True, done, True, identity.compare(then, now, str(config.data.task)))


def _identify(config: Config, settings: Settings, directory: Path, done: bool) -> Identity:
    """As `identify`; a finished run is not lost with its data, but then they are not compared, which is told."""
    try:
        return identify(config, settings)
    except UserError as error:
        if not done:
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


def refuse(standings: Iterable[Standing]) -> None:
    """Raises a UserError if a run was made with other things than are there now."""
    standings = list(standings)
    refused = [standing for standing in standings if standing.refusal]
    if refused:
        first = refused[0].directory
        which = str(first) if len(standings) == 1 else f"{len(refused)} of {len(standings)} runs ({first} first)"
        phrases = identity.distinct(phrase for standing in refused for phrase in standing.refusal)
        raise UserError(f"{which}: made with something else than there is now: {phrases}; {FRESH}")


def tell(standings: Iterable[Standing]) -> None:
    """Says in a sentence of each kind which finished runs were made in another environment, or are not recorded."""
    standings = [standing for standing in standings if standing.begun]
    others = [standing for standing in standings if standing.differences.environment]
    unknown = [standing for standing in standings if not standing.recorded]
    if others:
        phrases = identity.distinct(phrase for standing in others for phrase in standing.differences.environment)
        log.warning("%s taken as it is, though made with other settings: %s; %s", _which(others), phrases, FRESH)
    if unknown:
        log.warning("what made %s is not recorded, so it is not compared with what there is now", _which(unknown))


def _which(standings: list[Standing]) -> str:
    rest = f" (and {len(standings) - 1} more)" if len(standings) > 1 else ""
    return f"{standings[0].directory}{rest}"


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


def begin(
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
    standing = stand(directory, config, lambda: settings)
    standing = standing._replace(done=False)  # whatever there is, training would go on from it
    refuse([standing])
    tell([standing])
    if not standing.recorded:
        return None
    commit = environment()["commit"]
    found = identity.sources(config) if sources is None else sources
    if not standing.begun:
        now = identify(config, settings)._replace(code=identity.hash_code(found), commit=commit)
        identity.write(directory, now, found)
        return now
    then = identity.read(directory)
    if then.commit != commit:
        log.warning("%s was begun at commit %s and goes on at %s", directory, then.commit, commit)
    identity.write_code(directory, found)
    return then
