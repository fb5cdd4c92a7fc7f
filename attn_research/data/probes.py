"""Synthetic probe tasks: each requires one ability of attention, so a variant's equation predicts how well it does.

The conventions are those of data/synthetic.py: every target symbol copies one source symbol, which is the gold
alignment. `longest` is the largest size in training, and `test_long` has larger sizes.
"""

import random

from attn_research.annotations import Items, Length, Seed, Share
from attn_research.data.synthetic import Item, Symbols, Times, make_splits, require_at_least
from attn_research.data.task import DatasetDict, tasks

QUERY_MARK = "?"  # precedes the queries
MARK = "*"  # precedes a symbol to copy
BEFORE, AFTER = "<", ">"  # cues: the answer is `distance` positions before or after


@tasks.register(symbols="words", outputs="words", generated=True)
def recall(
    symbols: Symbols = 20, queries: Times = 2, longest: Length = 6, longest_test: Length = 12, train: Items = 10_000,
    test: Items = 1000, seed: Seed = 0,
) -> DatasetDict:  # fmt: skip
    """Multi-query associative recall: `k3 v7 k1 v2 k9 v7 ? k1 k3` to `v2 v7`   (after Arora et al. 2024).

    Size: the number of key-value pairs. Keys are distinct, and at most `queries` of them are queried.
    Requires: finding a source position by its content.
    Should win: scores that read the keys.
    Should fail as the number of pairs grows: `location`, which does not read the keys, and no attention, whose single
    vector must hold all pairs.
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
    """Recall in two steps: `4 9 7 4 9 7 ? 7` (4 to 9, 7 to 4, 9 to 7) to `4 9`, or with middle=False to `9`.

    Size: the number of pairs, at least 3. Every value is a key too, and the pairs form one cycle.
    Requires: a lookup whose query is the result of the previous lookup.
    Should win: variants whose query includes the previous output symbol (input feeding or query="state_and_symbol").
    Should fail: with middle=False, every variant here, since one step would need two lookups.
    """
    require_at_least("symbols", symbols, longest_test)

    def draw(rng: random.Random, size: int) -> Item:
        cycle = rng.sample(range(symbols), size)
        successors = dict(zip(cycle, cycle[1:] + cycle[:1], strict=True))
        keys = rng.sample(cycle, size)
        first = rng.choice(keys)
        hops = [2 * keys.index(first) + 1, 2 * keys.index(successors[first]) + 1]
        source = [symbol for key in keys for symbol in (key, successors[key])]
        return Item([*source, QUERY_MARK, first], hops if middle else hops[1:])

    return make_splits(draw, longest, longest_test, train, test, seed, shortest=3)


@tasks.register(symbols="words", outputs="words", generated=True)
def select(
    symbols: Symbols = 20, marked: Share = 0.3, longest: Length = 15, longest_test: Length = 30, train: Items = 10_000,
    test: Items = 1000, seed: Seed = 0,
) -> DatasetDict:  # fmt: skip
    """The marked symbols in their order: `5 * 2 8 8 * 2 1` to `2 2`.

    Size: the number of symbols without marks. The share `marked` of them, at least one, follows a mark `*`.
    Requires: knowing which marked symbol is next, from the positions that earlier steps attended to.
    Should win beyond the lengths of training: `location_aware`, monotonic attention and coverage.
    Should fail there: scores that read only the content, in which all marked symbols look alike.
    """

    def draw(rng: random.Random, size: int) -> Item:
        marked_positions = set(rng.sample(range(size), max(1, round(marked * size))))
        source: list[int | str] = []
        source_positions: list[int] = []
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
    """The symbols `distance` before the cue `<` and after the cue `>`: with distance=2, `7 3 < 1 5 > 8 2` to `7 2`.

    Size: the number of symbols without cues. Distances do not count cues. Difficulty grows with `distance`.
    Requires: attending at a fixed distance from a symbol that is easy to find by its content.
    Should win: encoders whose states carry the distance to the cue, and scores that read positions around it.
    Should fail: scores that read only the content of states without that distance, and `relative`, which counts from
    the output step and not from the cue.
    """

    def draw(rng: random.Random, size: int) -> Item:
        source: list = [rng.randrange(symbols) for _ in range(size)]
        before, after = rng.randint(distance, size), rng.randint(0, size - distance)
        answers = [before - distance, after + distance - 1]
        for position, cue in sorted(((before, BEFORE), (after, AFTER)), reverse=True):
            source.insert(position, cue)
            answers = [answer + (answer >= position) for answer in answers]
        return Item(source, answers)

    return make_splits(draw, longest, longest_test, train, test, seed, shortest=distance)


@tasks.register(symbols="words", outputs="words", generated=True)
def nth(
    symbols: Symbols = 20, queries: Times = 2, longest: Length = 10, longest_test: Length = 20, train: Items = 10_000,
    test: Items = 1000, seed: Seed = 0,
) -> DatasetDict:  # fmt: skip
    """The symbols at the queried positions, counted from 0: `8 1 5 ? @2 @0` to `5 8`.

    Size: the number of symbols. `test_long` queries only positions that occur in training.
    Requires: attending to a position, whatever its content.
    Should win: `location`.
    Should fail at large positions: scores that read only the content, which know a position as far as the encoder
    counts.
    """

    def draw(rng: random.Random, size: int) -> Item:
        queried = rng.sample(range(min(size, longest)), min(queries, size))
        return Item([*(rng.randrange(symbols) for _ in range(size)), QUERY_MARK, *(f"@{i}" for i in queried)], queried)

    return make_splits(draw, longest, longest_test, train, test, seed)
