"""Synthetic tasks whose right answer, and the source symbol that each target symbol copies, are known exactly.

Every task has a size: the length of `copy` and its like, the number of pairs of `recall`. Train, dev and test draw it
uniformly from 1 to `longest`; `test_long` draws it from `longest + 1` to `longest_test`. A checksum of a source decides
whether it belongs to train, dev or test, so that no source is in two of them, however small the space is; within a
split a short source may come several times. Dev and `test_long` have as many items as test.
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


Draw = Callable[[random.Random, int], Item]  # an item of the given size
Symbols = Annotated[int, Range(minimum=1, maximum=1_000_000)]
Times = Annotated[int, Range(minimum=1, maximum=1000)]

SPLIT_DIGITS = {"dev": (0,), "test": (1,), "train": range(2, 10)}  # last digit of the checksum
MAX_TRIES = 100  # drawn sources for each one that is wanted, before the space is called too small


@tasks.register(symbols="words", outputs="words", generated=True)
def copy(
    symbols: Symbols = 20,
    longest: Length = 10,
    longest_test: Length = 20,
    train: Items = 10_000,
    test: Items = 1000,
    seed: Seed = 0,
) -> DatasetDict:
    """The source again."""
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
    """The source from its end."""
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
    """The symbols by their number; equal ones keep their order."""

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
    """Every symbol `times` times in a row."""

    def order(source):
        return [i for i in range(len(source)) for _ in range(times)]

    return make_splits(_from_order(symbols, order), longest, longest_test, train, test, seed)


def _from_order(symbols: int, order: Callable[[list[int]], Sequence[int]]) -> Draw:
    """Draws sources of `symbols` symbols, copied in the given order."""

    def draw(rng: random.Random, size: int) -> Item:
        source = [rng.randrange(symbols) for _ in range(size)]
        return Item(source, order(source))

    return draw


def make_splits(
    draw: Draw, longest: int, longest_test: int, train: int, test: int, seed: int, shortest: int = 1
) -> DatasetDict:
    """The splits of a task whose items `draw` draws; sizes begin at `shortest`."""
    require_at_least("longest", longest, shortest)
    require_at_least("longest_test", longest_test, longest + 1)
    sizes = {"train": train, "dev": test, "test": test}
    items = {split: _draw_split(split, size, draw, (shortest, longest), seed) for split, size in sizes.items()}
    rng = random.Random(f"{seed} test_long")
    items["test_long"] = [draw(rng, rng.randint(longest + 1, longest_test)) for _ in range(test)]
    return from_columns({split: _columns(sources) for split, sources in items.items()})


def require_at_least(name: str, value: int, least: int) -> None:
    """Refuses a value that is below what another option asks for."""
    require(value >= least, f"{name} of a synthetic task is {value}, but must be at least {least}")


def _draw_split(split: str, number: int, draw: Draw, sizes: tuple[int, int], seed: int) -> list[Item]:
    rng = random.Random(f"{seed} {split}")
    items = []
    for _ in range(number * MAX_TRIES):
        item = draw(rng, rng.randint(*sizes))
        if zlib.crc32(repr(item.source).encode()) % 10 in SPLIT_DIGITS[split]:
            items.append(item)
        if len(items) == number:
            return items
    raise UserError(
        f"split {split!r} of a synthetic task wants {number} sources, but its symbols and sizes up to {sizes[1]} "
        "give too few; raise symbols or longest"
    )


def _columns(items: list[Item]) -> dict[str, list]:
    return {
        "source": [[str(symbol) for symbol in item.source] for item in items],
        "target": [[str(item.source[i]) for i in item.source_positions] for item in items],
        "alignment": [[[i, j] for j, i in enumerate(item.source_positions)] for item in items],
    }
