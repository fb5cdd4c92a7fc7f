"""Synthetic tasks with exact gold alignments: every target symbol copies one source symbol.

Every task has a size: the number of symbols (`copy`, `reverse`, `sort`, `repeat`), or as the task's docstring says
(data/probes.py). Train, dev and test draw it uniformly from 1 to `longest`, and `test_long` from `longest + 1` to
`longest_test`. Dev and `test_long` have as many items as test. The attribute `size` of an item is its size.

A checksum of a source decides whether it belongs to train, dev or test. So no source is in two of them, even where few
sources are possible. A short source may occur several times in a split.
"""

import random
import zlib
from collections.abc import Callable, Sequence
from typing import Annotated, NamedTuple

from attn_research.annotations import Items, Length, Range, Seed
from attn_research.data.task import DatasetDict, from_columns, tasks
from attn_research.errors import UserError
from attn_research.registry import require


class Item(NamedTuple):
    """A source, and for every target symbol the source position that it copies."""

    source: list
    source_positions: Sequence[int]


Draw = Callable[[random.Random, int], Item]  # draws an item of a given size
Symbols = Annotated[int, Range(minimum=1, maximum=1_000_000)]
Times = Annotated[int, Range(minimum=1, maximum=1000)]

SPLIT_DIGITS = {"dev": (0,), "test": (1,), "train": range(2, 10)}  # last digit of the checksum
MAX_TRIES = 100  # sources drawn for each item of a split, before the task has too few sources


@tasks.register(symbols="words", outputs="words", generated=True)
def copy(
    symbols: Symbols = 20,
    longest: Length = 10,
    longest_test: Length = 20,
    train: Items = 10_000,
    test: Items = 1000,
    seed: Seed = 0,
) -> DatasetDict:
    """The source unchanged: `5 2 8` to `5 2 8`."""
    return make_splits(
        _from_order(symbols, lambda source: range(len(source))), longest, longest_test, train, test, seed
    )


@tasks.register(symbols="words", outputs="words", generated=True)
def reverse(
    symbols: Symbols = 20,
    longest: Length = 10,
    longest_test: Length = 20,
    train: Items = 10_000,
    test: Items = 1000,
    seed: Seed = 0,
) -> DatasetDict:
    """The source from its last symbol to its first: `5 2 8` to `8 2 5`."""
    draw = _from_order(symbols, lambda source: range(len(source))[::-1])
    return make_splits(draw, longest, longest_test, train, test, seed)


@tasks.register(symbols="words", outputs="words", generated=True)
def sort(
    symbols: Symbols = 20,
    longest: Length = 10,
    longest_test: Length = 20,
    train: Items = 10_000,
    test: Items = 1000,
    seed: Seed = 0,
) -> DatasetDict:
    """The source in ascending order: `5 2 8` to `2 5 8`. The alignment keeps the order of equal symbols."""

    def order(source):
        return sorted(range(len(source)), key=source.__getitem__)

    return make_splits(_from_order(symbols, order), longest, longest_test, train, test, seed)


@tasks.register(symbols="words", outputs="words", generated=True)
def repeat(
    times: Times = 2,
    symbols: Symbols = 20,
    longest: Length = 10,
    longest_test: Length = 20,
    train: Items = 10_000,
    test: Items = 1000,
    seed: Seed = 0,
) -> DatasetDict:
    """Every symbol of the source `times` times: `5 2` to `5 5 2 2`."""

    def order(source):
        return [i for i in range(len(source)) for _ in range(times)]

    return make_splits(_from_order(symbols, order), longest, longest_test, train, test, seed)


def _from_order(symbols: int, order: Callable[[list[int]], Sequence[int]]) -> Draw:
    """Returns a function that draws a source over `symbols` symbols and copies its positions in the given order."""

    def draw(rng: random.Random, size: int) -> Item:
        source = [rng.randrange(symbols) for _ in range(size)]
        return Item(source, order(source))

    return draw


def make_splits(
    draw: Draw, longest: int, longest_test: int, train: int, test: int, seed: int, shortest: int = 1
) -> DatasetDict:
    """Returns the splits of a synthetic task.

    Args:
      draw: draws an item of a given size.
      longest: the largest size in train, dev and test.
      longest_test: the largest size in `test_long`.
      train: the number of training items.
      test: the number of items of each other split.
      shortest: the smallest size.

    Raises:
      UserError: `longest` or `longest_test` is too small, or the task has too few sources for a split.
    """
    require_at_least("longest", longest, shortest)
    require_at_least("longest_test", longest_test, longest + 1)
    sizes = {"train": train, "dev": test, "test": test}
    items = {split: _draw_split(split, size, draw, (shortest, longest), seed) for split, size in sizes.items()}
    rng = random.Random(f"{seed} test_long")
    items["test_long"] = [_draw_sized(rng, draw, (longest + 1, longest_test)) for _ in range(test)]
    return from_columns({split: _columns(sized) for split, sized in items.items()})


def require_at_least(name: str, value: int, minimum: int) -> None:
    """Checks the value of an option against a minimum that another option sets."""
    require(value >= minimum, f"{name} of a synthetic task is {value}, but must be at least {minimum}")


def _draw_sized(rng: random.Random, draw: Draw, sizes: tuple[int, int]) -> tuple[int, Item]:
    size = rng.randint(*sizes)
    return size, draw(rng, size)


def _draw_split(split: str, number: int, draw: Draw, sizes: tuple[int, int], seed: int) -> list[tuple[int, Item]]:
    rng = random.Random(f"{seed} {split}")
    items = []
    for _ in range(number * MAX_TRIES):
        size, item = _draw_sized(rng, draw, sizes)
        if zlib.crc32(repr(item.source).encode()) % 10 in SPLIT_DIGITS[split]:
            items.append((size, item))
        if len(items) == number:
            return items
    raise UserError(
        f"split {split!r} of a synthetic task needs {number} sources, but too few exist with sizes up to {sizes[1]}; "
        "raise symbols or longest"
    )


def _columns(sized: list[tuple[int, Item]]) -> dict[str, list]:
    items = [item for _, item in sized]
    return {
        "source": [[str(symbol) for symbol in item.source] for item in items],
        "target": [[str(item.source[i]) for i in item.source_positions] for item in items],
        "alignment": [[[i, j] for j, i in enumerate(item.source_positions)] for item in items],
        "attributes": [{"size": size} for size, _ in sized],
    }
