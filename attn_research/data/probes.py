"""Synthetic tasks that ask one thing of attention each, so that a variant wins or loses on them by its equation.

All follow the conventions of data/synthetic.py: every target symbol copies one source symbol, which is the gold
alignment; `longest` bounds the size in training, and `test_long` has larger sizes.
"""

import random

from attn_research.annotations import Items, Length, Seed, Share
from attn_research.data.synthetic import Item, Symbols, Times, make_splits, require_at_least
from attn_research.data.task import DatasetDict, tasks

QUERY_MARK = "?"  # stands before the queries
MARK = "*"  # stands before a symbol that is to be copied
BEFORE, AFTER = "<", ">"  # cues: the answer is so many places before or behind


@tasks.register(symbols="words", outputs="words", generated=True)
def recall(
    symbols: Symbols = 20, queries: Times = 2, longest: Length = 6, longest_test: Length = 12, train: Items = 10_000,
    test: Items = 1000, seed: Seed = 0,
) -> DatasetDict:  # fmt: skip
    """Multi-query associative recall: `k3 v7 k1 v2 k9 v7 ? k1 k3` to `v2 v7`   (after Arora et al. 2024).

    The size is the number of pairs. Keys differ from each other, and at most `queries` of them are asked for. Attention
    has to find a source position by what stands there: scores that read the content win. `location`, which does not
    read the keys, and no attention, whose one vector has to hold all pairs, should fail as the pairs grow.
    """
    require_at_least("symbols", symbols, longest_test)

    def draw(rng: random.Random, size: int) -> Item:
        keys = rng.sample(range(symbols), size)
        pairs = [part for key in keys for part in (f"k{key}", f"v{rng.randrange(symbols)}")]
        queried = rng.sample(range(size), min(queries, size))
        return Item([*pairs, QUERY_MARK, *(pairs[2 * i] for i in queried)], [2 * i + 1 for i in queried])

    return make_splits(draw, longest, longest_test, train, test, seed)


@tasks.register(symbols="words", outputs="words", generated=True)
def two_hop(
    symbols: Symbols = 20, middle: bool = True, longest: Length = 6, longest_test: Length = 12, train: Items = 10_000,
    test: Items = 1000, seed: Seed = 0,
) -> DatasetDict:  # fmt: skip
    """The value is a key again: `4 9 7 4 9 7 ? 7` (4 to 9, 7 to 4, 9 to 7) to `4 9`, or with middle=False to `9`.

    The size is the number of pairs, 3 at least; they form one circle. With the middle written down, the second step
    can ask with the symbol that the first one wrote, so the last symbol must reach the query (input feeding or
    query="state_and_symbol"). Without it, one step has to look twice, which no variant here can.
    """
    require_at_least("symbols", symbols, longest_test)

    def draw(rng: random.Random, size: int) -> Item:
        circle = rng.sample(range(symbols), size)
        after = dict(zip(circle, circle[1:] + circle[:1], strict=True))
        keys = rng.sample(circle, size)
        first = rng.choice(keys)
        hops = [2 * keys.index(first) + 1, 2 * keys.index(after[first]) + 1]
        source = [symbol for key in keys for symbol in (key, after[key])]
        return Item([*source, QUERY_MARK, first], hops if middle else hops[1:])

    return make_splits(draw, longest, longest_test, train, test, seed, shortest=3)


@tasks.register(symbols="words", outputs="words", generated=True)
def select(
    symbols: Symbols = 20, marked: Share = 0.3, longest: Length = 15, longest_test: Length = 30, train: Items = 10_000,
    test: Items = 1000, seed: Seed = 0,
) -> DatasetDict:  # fmt: skip
    """The marked symbols out of noise, in their order: `5 * 2 8 8 * 2 1` to `2 2`.

    The size is the number of symbols, of which the share `marked`, one at least, has the mark `*` before it. Every
    marked symbol looks alike to a score that reads the content alone; the next one is known by where the steps before
    looked. `location_aware`, monotonic attention and coverage should win beyond the lengths of training.
    """

    def draw(rng: random.Random, size: int) -> Item:
        marked_positions = set(rng.sample(range(size), max(1, round(marked * size))))
        source, source_positions = [], []
        for position in range(size):
            source += [MARK] * (position in marked_positions)
            source_positions += [len(source)] * (position in marked_positions)
            source.append(rng.randrange(symbols))
        return Item(source, source_positions)

    return make_splits(draw, longest, longest_test, train, test, seed)


@tasks.register(symbols="words", outputs="words", generated=True)
def window(
    symbols: Symbols = 20, distance: Length = 3, longest: Length = 15, longest_test: Length = 30, train: Items = 10_000,
    test: Items = 1000, seed: Seed = 0,
) -> DatasetDict:  # fmt: skip
    """The symbol `distance` places before the cue `<` and the one behind the cue `>`: `7 3 < 1 5 > 8 2` to `7 2` (2).

    The size is the number of symbols beside the cues, which are not counted as places. The cue is easy to find by its
    content, the answer is not: it is known by its distance, which the encoder's states must carry, or the score must
    read (`relative` counts from the step and not from the cue). Difficulty grows with `distance`.
    """

    def draw(rng: random.Random, size: int) -> Item:
        source: list = [rng.randrange(symbols) for _ in range(size)]
        before, behind = rng.randint(distance, size), rng.randint(0, size - distance)
        answers = [before - distance, behind + distance - 1]
        for position, cue in sorted(((before, BEFORE), (behind, AFTER)), reverse=True):
            source.insert(position, cue)
            answers = [answer + (answer >= position) for answer in answers]
        return Item(source, answers)

    return make_splits(draw, longest, longest_test, train, test, seed, shortest=distance)


@tasks.register(symbols="words", outputs="words", generated=True)
def nth(
    symbols: Symbols = 20, queries: Times = 2, longest: Length = 10, longest_test: Length = 20, train: Items = 10_000,
    test: Items = 1000, seed: Seed = 0,
) -> DatasetDict:  # fmt: skip
    """The symbols at the places that are asked for, counted from 0: `8 1 5 ? @2 @0` to `5 8`.

    The size is the number of symbols; `test_long` asks for places that training knows, too. What stands at a place does
    not matter, only the place: `location` should win, and scores that read the content know a place only as far as the
    encoder counts.
    """

    def draw(rng: random.Random, size: int) -> Item:
        queried = rng.sample(range(min(size, longest)), min(queries, size))
        return Item([*(rng.randrange(symbols) for _ in range(size)), QUERY_MARK, *(f"@{i}" for i in queried)], queried)

    return make_splits(draw, longest, longest_test, train, test, seed)
