"""Equal size for every row of an experiment: solves the hidden sizes, so that all runs cost as much as a reference run.

An experiment file says `MATCH = Match("parameters")` or `MATCH = Match("flops")`.
"""

import bisect
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from attn_research.config import Config, flatten, override, program_config
from attn_research.errors import UserError, nearest
from attn_research.variants import canonical

if TYPE_CHECKING:
    from attn_research.sweeps.count_cache import CountCache

FIELDS = ("model.encoder.hidden", "model.decoder.hidden")
MAX_SIZE = 8192  # of both fields
QUANTITIES = {"parameters": "parameters", "flops": "FLOPs per training step"}


@dataclass(frozen=True)
class Match:
    """What all runs of an experiment have in equal number.

    Attributes:
      quantity: `parameters`, or `flops` for the FLOPs of a training step.
      reference: config changes that name the row whose size stays, as in `{"model.attention.score": "dot"}`; by default
        the first row.
      tolerance: the largest relative difference from the reference. Small models need more than 0.01: a step of 2 in a
        hidden size of 64 changes the parameters by about 4 %.

    Raises:
      UserError: the quantity or a config field is unknown, or the tolerance is out of range.
    """

    quantity: str
    reference: Mapping[str, Any] = field(default_factory=dict, hash=False)
    tolerance: float = 0.01

    def __post_init__(self):
        if self.quantity not in QUANTITIES:
            raise UserError(f"the quantity of Match is {self.quantity!r}; {nearest(str(self.quantity), QUANTITIES)}")
        if not 0 < self.tolerance < 1:
            raise UserError(f"the tolerance of Match is {self.tolerance!r}, but must be above 0 and below 1")
        override(Config(), self.reference)


@dataclass(frozen=True)
class Solution:
    """A config with the hidden sizes whose count is closest to the reference's."""

    config: Config
    count: float
    target: float  # count of the reference

    @property
    def error(self) -> float:
        """The relative difference from the reference."""
        return abs(self.count / self.target - 1)


def match_sizes(configs: Sequence[Config], match: Match) -> dict[Config, Config]:
    """Returns every config with the encoder's and the decoder's hidden size that give it the count of its reference.

    Both sizes are multiplied by one factor and rounded so that they keep the divisions of the model: heads, and the two
    directions of an encoder. Equal sizes stay equal. Configs of each task have a reference of their own, because their
    vocabularies differ.

    Args:
      configs: the configs of an experiment, with the reference first unless `match` names another one.

    Raises:
      UserError: no config is the reference, or for some config no size gives a count within the tolerance.
    """
    cache = _cache()
    count = functools.partial(cache.count, match.quantity)
    targets = {task: count(config) for task, config in references(configs, match).items()}
    solutions: dict[Config, Solution] = {}
    for config in configs:
        program = program_config(config)
        if program not in solutions:
            solutions[program] = _solve(program, targets[_task(config)], match, count, configs)
    cache.save()
    _check(solutions, match, configs)
    return {config: override(config, _sizes(solutions[program_config(config)].config)) for config in configs}


def references(configs: Sequence[Config], match: Match) -> dict[str, Config]:
    """Returns the reference of every task, by the task's name: its first config that has the values of the reference.

    Raises:
      UserError: a task has no such config.
    """
    found: dict[str, Config] = {}
    for config in configs:
        if _task(config) not in found and _canonical(override(config, match.reference)) == _canonical(config):
            found[_task(config)] = config
    for config in configs:
        if _task(config) not in found:
            values = ", ".join(f"{name}={value}" for name, value in match.reference.items())
            known = nearest(values, {", ".join(_values(other, match.reference)) for other in configs})
            raise UserError(f"the reference of Match is {values}, but no run of task {_task(config)} has it; {known}")
    return found


def describe(match: Match, sizes: Mapping[Config, Config], label: Callable[[Config], str] | None = None) -> str:
    """Returns a footnote with the count of the reference and the hidden size of every row, code between backticks.

    Args:
      sizes: as `match_sizes` returns them.
      label: the label of a config's row, as of a table; by default `sweeps.expand.labels`.
    """
    names = label or _labels(list(sizes)).__getitem__
    several = len({_task(config) for config in sizes}) > 1
    counts = ", ".join(
        f"{_cache().count(match.quantity, config):,.0f}{f' on {task}' if several else ''}"
        for task, config in references(list(sizes), match).items()
    )
    rows: dict[str, dict[str, list[str]]] = {}  # row -> size -> tasks
    for config, solved in sizes.items():
        rows.setdefault(names(config), {}).setdefault(_format_sizes(solved), []).append(_task(config))
    phrases = ", ".join(f"`{name}` {_format_row(of_row)}" for name, of_row in rows.items())
    quantity, tolerance = QUANTITIES[match.quantity], f"{100 * match.tolerance:g}"
    return f"Hidden sizes are solved for equal {quantity} ({counts}, within {tolerance} %): {phrases}."


def _format_row(by_size: Mapping[str, Sequence[str]]) -> str:
    """Returns the size of a row; if its tasks have several, each with its tasks."""
    if len(by_size) == 1:
        return next(iter(by_size))
    return " and ".join(f"{size} ({', '.join(dict.fromkeys(tasks))})" for size, tasks in by_size.items())


def _cache() -> "CountCache":
    """Returns the counts on disk. The import takes a second, which experiment files without MATCH need not wait for."""
    from attn_research.sweeps.count_cache import CountCache

    return CountCache()


def _solve(
    config: Config, target: float, match: Match, count: Callable[[Config], float], configs: Sequence[Config]
) -> Solution:
    """Returns the config with the sizes whose count is closest to `target`."""
    unchanged = Solution(config, count(config), target)
    if unchanged.error == 0:
        return unchanged
    try:
        return _search(unchanged, count)
    except UserError as error:  # of a size that the model does not allow
        if unchanged.error <= match.tolerance:
            return unchanged
        row, size = _labels(configs)[config], _format_sizes(config)
        raise UserError(f"MATCH needs another hidden size than {size} for row {row!r}, but {error}") from error


def _search(unchanged: Solution, count: Callable[[Config], float]) -> Solution:
    """Returns the closest solution.

    Raises:
      UserError: the model does not allow a size.
    """
    sizes, target = _Sizes.of(unchanged.config), unchanged.target

    @functools.cache
    def solution(step: int) -> Solution:
        config = sizes.apply(unchanged.config, step)
        return Solution(config, count(config), target)

    steps, start = sizes.steps(), sizes.guess(target / unchanged.count)
    at_least = _first_at_least(lambda step: solution(step).count, target, steps, start)
    return min(map(solution, (at_least, max(at_least - 1, steps[0]))), key=lambda one: one.error)


def _first_at_least(count: Callable[[int], float], target: float, steps: range, start: int) -> int:
    """Returns the first of `steps` whose count is at least `target`, or the last one. `count` must not decrease.

    The search doubles its distance from `start` until it encloses the result, then bisects.
    """
    low = high = min(max(start, steps[0]), steps[-1])
    distance = 1
    while low > steps[0] and count(low) >= target:
        low, high, distance = max(low - distance, steps[0]), low, 2 * distance
    while high < steps[-1] and count(high) < target:
        low, high, distance = high, min(high + distance, steps[-1]), 2 * distance
    return low + bisect.bisect_left(range(low, high), target, key=count)


@dataclass(frozen=True)
class _Sizes:
    """The hidden sizes of a config by field, and the unit in which each may change.

    A step adds one unit to the larger size, and as many units to the other one as keep the ratio of the two best.
    """

    sizes: Mapping[str, int]
    units: Mapping[str, int]

    @classmethod
    def of(cls, config: Config) -> "_Sizes":
        sizes, units = _sizes(config), _units(config)
        if len(set(sizes.values())) == 1:
            units = (math.lcm(*units),) * 2
        return cls(sizes, dict(zip(FIELDS, units, strict=True)))

    @property
    def free(self) -> str:
        """The field of the larger size."""
        return max(FIELDS, key=self.sizes.__getitem__)

    def apply(self, config: Config, step: int) -> Config:
        """Returns the config `step` steps larger."""
        return override(config, self._after(step))

    def steps(self) -> range:
        """Returns the steps with valid sizes."""
        size, unit = self.sizes[self.free], self.units[self.free]
        first = next(step for step in range(-((size - 1) // unit), 1) if min(self._after(step).values()) >= 1)
        return range(first, (MAX_SIZE - size) // unit + 1)

    def guess(self, ratio: float) -> int:
        """Returns the step that multiplies the count by about `ratio`, since a count grows like the size squared."""
        return round((ratio**0.5 - 1) * self.sizes[self.free] / self.units[self.free])

    def _after(self, step: int) -> dict[str, int]:
        growth = step * self.units[self.free] / self.sizes[self.free]
        return {
            name: size + round(growth * size / self.units[name]) * self.units[name] for name, size in self.sizes.items()
        }


def _units(config: Config) -> tuple[int, int]:
    """Returns the unit in which the encoder's and the decoder's size may change: a multiple keeps every division."""
    attention = config.model.attention
    heads = attention.heads if attention.split else 1
    has_all_projections = attention.keys is not None and attention.values is not None
    directions = 2 if config.model.encoder.direction == "both" else 1
    return math.lcm(directions, 1 if has_all_projections else heads), heads


def _check(solutions: Mapping[Config, Solution], match: Match, configs: Sequence[Config]) -> None:
    """Raises a UserError about the config that is farthest from its reference, if it is outside of the tolerance."""
    outside = [config for config, solution in solutions.items() if solution.error > match.tolerance]
    if not outside:
        return
    worst = max(outside, key=lambda config: solutions[config].error)
    solution = solutions[worst]
    others = f" (and {len(outside) - 1} more)" if len(outside) > 1 else ""
    needed = math.ceil(1000 * solution.error) / 1000
    raise UserError(
        f"no hidden size gives row {_labels(configs)[worst]!r}{others} {solution.target:,.0f} "
        f"{QUANTITIES[match.quantity]} within {100 * match.tolerance:g} %: the nearest is {solution.count:,.0f} with "
        f"size {_format_sizes(solution.config)}; raise the hidden sizes of all configs, or set "
        f"Match(..., tolerance={needed:g})"
    )


def _labels(configs: Sequence[Config]) -> dict[Config, str]:
    """Returns a label for each config and for its program, without the seed."""
    from attn_research.sweeps.expand import labels

    names = labels(dict.fromkeys(map(program_config, configs)))
    return names | {config: names[program_config(config)] for config in configs}


def _task(config: Config) -> str:
    return config.data.task.name


def _canonical(config: Config) -> Config:
    return canonical(config, import_user_code=True)


def _values(config: Config, names: Mapping[str, Any]) -> list[str]:
    leaves = flatten(config)
    return [f"{name}={leaves[name]}" for name in names]


def _sizes(config: Config) -> dict[str, int]:
    return dict(zip(FIELDS, (config.model.encoder.hidden, config.model.decoder.hidden), strict=True))


def _format_sizes(config: Config) -> str:
    return "/".join(dict.fromkeys(str(size) for size in _sizes(config).values()))
