"""Made-up tasks whose right answer, and the source symbol that each target symbol comes from, are known exactly.

A source is a length of 1 to `longest`, drawn uniformly, and that many of the symbols `0`, `1` ... A checksum of it
decides whether it belongs to train, dev or test, so that no source is in two of them, however small the space is;
within a split a short source may come several times. `test_long` has lengths of `longest + 1` to `longest_test`. Dev
and `test_long` have as many items as test.
"""

import random
import zlib
from collections.abc import Callable, Sequence
from typing import Annotated

from attn_research.annotations import Items, Length, Range, Seed
from attn_research.data.task import DatasetDict, from_columns, tasks
from attn_research.errors import UserError
from attn_research.registry import require

Order = Callable[[list[int]], Sequence[int]]  # source -> for every target symbol, the source position that it copies
Symbols = Annotated[int, Range(least=1, most=1_000_000)]
Times = Annotated[int, Range(least=1, most=1000)]

SHARES = {"dev": (0,), "test": (1,), "train": range(2, 10)}  # last digit of the checksum
TRIES = 100  # drawn sources for each one that is wanted, before the space is called too small


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
    return _splits(lambda source: range(len(source)), symbols, longest, longest_test, train, test, seed)


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
    return _splits(lambda source: range(len(source))[::-1], symbols, longest, longest_test, train, test, seed)


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

    return _splits(order, symbols, longest, longest_test, train, test, seed)


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

    return _splits(order, symbols, longest, longest_test, train, test, seed)


def _splits(
    order: Order,
    symbols: int,
    longest: int,
    longest_test: int,
    train: int,
    test: int,
    seed: int,
) -> DatasetDict:
    told = f"longest_test of a synthetic task is {longest_test}, but must be at least {longest + 1}"
    require(longest_test > longest, f"{told}, which is longest + 1")
    sizes = {"train": train, "dev": test, "test": test}
    drawn = {split: _draw(split, size, symbols, longest, seed) for split, size in sizes.items()}
    rng = random.Random(f"{seed} test_long")
    drawn["test_long"] = [_source(rng, symbols, longest + 1, longest_test) for _ in range(test)]
    return from_columns({split: _columns(sources, order) for split, sources in drawn.items()})


def _source(rng: random.Random, symbols: int, shortest: int, longest: int) -> list[int]:
    return [rng.randrange(symbols) for _ in range(rng.randint(shortest, longest))]


def _draw(split: str, size: int, symbols: int, longest: int, seed: int) -> list[list[int]]:
    rng = random.Random(f"{seed} {split}")
    drawn = []
    for _ in range(size * TRIES):
        source = _source(rng, symbols, 1, longest)
        if zlib.crc32(repr(source).encode()) % 10 in SHARES[split]:
            drawn.append(source)
        if len(drawn) == size:
            return drawn
    raise UserError(
        f"split {split!r} of a synthetic task wants {size} sources, but {symbols} symbols and lengths up to {longest} "
        "give too few; raise symbols or longest"
    )


def _columns(sources: list[list[int]], order: Order) -> dict[str, list]:
    orders = [order(source) for source in sources]
    return {
        "source": [[str(symbol) for symbol in source] for source in sources],
        "target": [[str(source[i]) for i in copied] for source, copied in zip(sources, orders, strict=True)],
        "alignment": [[[i, j] for j, i in enumerate(copied)] for copied in orders],
    }
