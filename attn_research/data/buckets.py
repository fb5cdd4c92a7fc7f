"""Length-bucketed batches of sources, in so few padded shapes that a model compiles rarely."""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import NamedTuple

MIN_SIZE = 8  # padded symbols of a source, and padded rows of a batch
ROWS = 64  # of a batch at most
SYMBOLS = 8192  # of a batch at most, padding included; a longer source is alone


class Bucket(NamedTuple):
    """Sources that are computed together."""

    rows: tuple[int, ...]  # index of each source
    length: int  # padded
    size: int  # padded number of rows


def buckets(lengths: Sequence[int], at_once: Callable[[int], int] = lambda length: ROWS) -> list[Bucket]:
    """Every source in exactly one bucket, the shortest first; `at_once` bounds the rows of a padded length.

    A source is padded by less than half of its length, or to `MIN_SIZE`; rows are padded to a power of two.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    result = []
    for length, group in groupby(order, key=lambda row: padded_length(lengths[row])):
        rows, max_rows = tuple(group), max(1, min(ROWS, _power_below(SYMBOLS // length), _power_below(at_once(length))))
        for start in range(0, len(rows), max_rows):
            chunk = rows[start : start + max_rows]
            result.append(Bucket(chunk, length, min(max_rows, max(MIN_SIZE, power_of_two(len(chunk))))))
    return result


def padded_length(length: int) -> int:
    """The first of 8, 12, 16, 24, 32, 48 ... that is not below `length`."""
    power = max(MIN_SIZE, power_of_two(length))
    step = 3 * power // 4
    return step if step > MIN_SIZE and length <= step else power


def longest(fits: Callable[[int], bool]) -> int:
    """The longest source whose padded length fits, 8 at least."""
    length = MIN_SIZE
    while fits(longer := padded_length(length + 1)):
        length = longer
    return length


def _power_below(number: int) -> int:
    """The largest power of two that is not above `number`."""
    return power_of_two(number + 1) // 2


def power_of_two(number: int) -> int:
    """The least power of two that is not below `number`, 1 at least."""
    return 1 << max(0, number - 1).bit_length()
