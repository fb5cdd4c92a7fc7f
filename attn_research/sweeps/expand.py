"""Experiment files: their distinct configs, in the order of execution, and a short label for each."""

import contextlib
import functools
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeVar

from attn_research.config import Config, flatten, override, program_config, run_file, unflatten
from attn_research.errors import UserError
from attn_research.registry import Spec
from attn_research.sweeps.evaluations import Evaluate, check_evaluations
from attn_research.sweeps.matching import Match, match_sizes
from attn_research.sweeps.tuning import Tune, check_tune
from attn_research.variants import canonical

Value = TypeVar("Value")
# The names that an experiment need not define, with their values then.
OPTIONAL: dict[str, Any] = {
    "PUBLISHED": {}, "TUNE": None, "MATCH": None, "CLAIMS": (), "EVALUATIONS": {}, "PAPER": None, "curves": (),
}  # fmt: skip


class Experiment(NamedTuple):
    """An experiment file with the changes of the command line."""

    name: str  # file name without .py
    runs: tuple[Config, ...]  # distinct; the first run of each program comes first
    table: Any
    published: Mapping[Any, Any]
    tune: Tune | None = None
    curves: Sequence[Any] = ()
    match: Match | None = None
    claims: Sequence[Any] = ()
    evaluations: Mapping[str, Evaluate] = MappingProxyType({})
    paper: Any = None

    @property
    def sizes(self) -> Mapping[Config, Config]:
        """The runs, with the hidden sizes that are trained: those of the config, or those that `match` solves.

        Raises:
          UserError: no hidden size gives a row the count of the reference.
        """
        return _solve_sizes(self.runs, self.match) if self.match else {config: config for config in self.runs}


@functools.lru_cache(maxsize=4)
def _solve_sizes(runs: tuple[Config, ...], match: Match) -> Mapping[Config, Config]:
    return match_sizes(runs, match)


def load_experiment(
    path: str | Path,
    changes: Mapping[str, Any] | None = None,
    additions: Iterable[Mapping[str, Any]] = (),
    seeds: int | None = None,
    tune: Tune | Literal["file"] | None = "file",
    match: Match | Literal["file"] | None = "file",
) -> Experiment:
    """Returns the experiment in the file at `path`.

    Args:
      path: a file that defines `runs()`, `table` and optionally `PUBLISHED`, `TUNE`, `MATCH`, `CLAIMS`, `EVALUATIONS`,
        `PAPER` and `curves`.
      changes: changes of every config.
      additions: each set of changes adds a changed copy of every config, which gives new rows with all seeds.
      seeds: every row gets the seeds 0 to `seeds` - 1; None: those of the file.
      tune: the tuning budget, None for no tuning; "file": the file's `TUNE`.
      match: what every row has in equal number, None for nothing; "file": the file's `MATCH`.

    Raises:
      UserError: the file cannot be run or is not an experiment, or a change is not valid.
    """
    names = _read_file(path)
    configs = [override(config, changes or {}) for config in names["runs"]]
    configs += [override(config, change) for change in additions for config in configs]
    if seeds is not None:
        configs = [override(config, {"seed": seed}) for seed in range(seeds) for config in configs]
    configs = [canonical(config, import_user_code=True) for config in configs]
    budget = _read("TUNE", Tune, names, path) if tune == "file" else tune
    matched = _read("MATCH", Match, names, path) if match == "file" else match
    if budget:
        _check_tuned(budget, configs, changes or {})
    runs = programs_first(dict.fromkeys(configs))
    return Experiment(
        Path(path).stem,
        runs,
        table=names["table"],
        published=names["PUBLISHED"],
        tune=budget,
        curves=names["curves"],
        match=matched,
        claims=names["CLAIMS"],
        evaluations=check_evaluations(names["EVALUATIONS"], path),
        paper=names["PAPER"],
    )


def _read_file(path: str | Path) -> dict[str, Any]:
    """Returns the names that the file of an experiment defines; `runs` are its configs.

    Raises:
      UserError: the file cannot be run or is not an experiment.
    """
    with locate_errors(path):
        names = OPTIONAL | run_file(path)
        missing = [name for name in ("runs", "table") if name not in names]
        if missing:
            raise UserError(f"{path} is not an experiment: it does not define {' and '.join(missing)}")
        configs = [_check_config(item, path) for item in names["runs"]()]
    if not configs:
        raise UserError(f"{path} has no runs: its runs() yields nothing")
    return names | {"runs": configs}


def _read(name: str, kind: type[Value], names: Mapping[str, Any], path: str | Path) -> Value | None:
    value = names[name]
    if value is not None and not isinstance(value, kind):
        raise UserError(f"{path}: {name} is {value!r}, but must be a {kind.__name__}")
    return value


def _check_tuned(tune: Tune, configs: Sequence[Config], changes: Mapping[str, Any]) -> None:
    if fixed := [name for name in changes if name in tune.fields]:
        raise UserError(f"{fixed[0]} is tuned; --no-tune takes one value for every row")
    check_tune(tune, configs)


def _check_config(item: Any, path: str | Path) -> Config:
    if not isinstance(item, Config):
        raise UserError(f"{path}: runs() yields {item!r}, which is not a Config")
    return unflatten(flatten(item))


@contextlib.contextmanager
def locate_errors(path: str | Path) -> Iterator[None]:
    """Turns an exception of the file at `path` into a UserError that names the file and the line."""
    try:
        yield
    except Exception as error:
        text = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        if lines:
            raise UserError(f"{path}:{lines[-1]}: {text}") from error
        raise UserError(text if str(path) in text else f"{path}: {text}") from error


def programs_first(configs: Iterable[Config]) -> tuple[Config, ...]:
    """Orders the first run of every program before all second runs, and so on: later runs reuse compiled programs."""
    counts: Counter[Config] = Counter()
    ranks = {}
    for config in configs:
        program = program_config(config)
        ranks[config] = counts[program]
        counts[program] += 1
    return tuple(sorted(ranks, key=ranks.__getitem__))


def labels(configs: Iterable[Config]) -> dict[Config, str]:
    """Returns a short label for each config: the values that most configs do not share, as in `concat seed=1`."""
    leaves = {config: flatten(config) for config in configs}
    values = {name: Counter(leaf[name] for leaf in leaves.values()) for name in flatten(Config())}
    names = [name for name, counts in values.items() if len(counts) > 1]
    short = {name: _shortest_suffix(name, names) for name in names}
    result = {}
    for config, leaf in leaves.items():
        rare = [name for name in names if values[name][leaf[name]] <= len(leaves) / 2]
        result[config] = " ".join(_format_value(short[name], leaf[name]) for name in rare) or "run"
    return result


def _format_value(name: str, value: Any) -> str:
    return str(value) if isinstance(value, Spec) and "." not in name else f"{name}={value}"


def _shortest_suffix(name: str, names: list[str]) -> str:
    """Returns the shortest suffix of a dotted name that is unique among `names`."""
    parts = name.split(".")
    ends = [".".join(parts[start:]) for start in reversed(range(len(parts)))]
    return next(end for end in ends if sum(f".{other}".endswith(f".{end}") for other in names) == 1)
