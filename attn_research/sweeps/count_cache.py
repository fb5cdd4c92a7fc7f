"""A cache on disk for the counts of configs, so that later commands need not trace the same models again."""

import contextlib
import functools
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import attn_research
from attn_research import storage
from attn_research.config import Config, flatten, program_config
from attn_research.runs import identity
from attn_research.runs.environment import versions
from attn_research.training.counts import count_flops, count_parameters, data_sizes

COUNTS: dict[str, Callable[[Config], float]] = {"parameters": count_parameters, "flops": count_flops}


class CountCache:
    """The counts of one version of this package and its libraries, in one file."""

    def __init__(self):
        self._path = storage.cache_root() / "counts" / f"{_code_hash()}.json"
        self._counts = _read(self._path)
        self._stored = len(self._counts)

    def count(self, quantity: str, config: Config) -> float:
        """Returns a count of a config, cached or computed.

        Args:
          quantity: a key of `COUNTS`.

        Raises:
          UserError: the data is invalid, or the config has no valid model.
        """
        key = _key(quantity, config)
        if key not in self._counts:
            self._counts[key] = COUNTS[quantity](config)
        return self._counts[key]

    def save(self) -> None:
        """Writes the file if there are new counts. If it cannot be written, they are computed again next time."""
        if len(self._counts) > self._stored:
            with contextlib.suppress(OSError):
                storage.write(self._path, json.dumps(self._counts), synced=False)
            self._stored = len(self._counts)


def _read(path: Path) -> dict[str, float]:
    """Returns the counts in a file; none if it is missing or damaged."""
    with contextlib.suppress(OSError, ValueError):
        return dict(json.loads(path.read_text(encoding="utf-8")))
    return {}


def _key(quantity: str, config: Config) -> str:
    """Hashes what a count depends on apart from the package: the config, the sizes of its data and the user's code."""
    code = identity.hash_code(identity.sources(config))
    parts = [quantity, flatten(program_config(config)), data_sizes(config.data), code]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


@functools.cache
def _code_hash() -> str:
    """Hashes the files of this package and the versions of its libraries."""
    sha = hashlib.sha256(json.dumps(versions()).encode())
    for path in sorted(Path(attn_research.__file__).parent.rglob("*.py")):
        sha.update(path.read_bytes())
    return sha.hexdigest()[:16]
