"""Slices of a split by attributes of its items: `test[length>20]/exact`, or `test[style=long, length<=30]/exact`.

`test[length<=10 minus length>20]/exact` is how much better the first slice is than the second.
"""

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from attn_research.errors import UserError, nearest
from attn_research.runs.records import unpack_attribute

OPERATORS: dict[str, Callable] = {
    "<=": operator.le,
    ">=": operator.ge,
    "!=": operator.ne,
    "=": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}
CONDITION = re.compile(r"\s*(\w+)\s*(<=|>=|!=|=|<|>)\s*(.*?)\s*")
MINUS = " minus "  # between two slices
MAX_BINS = 6  # slices of a whole number
MAX_LABELS = 12  # slices of a string


@dataclass(frozen=True)
class Condition:
    """A condition on an attribute."""

    attribute: str
    operator: str
    value: str

    def __str__(self) -> str:
        return f"{self.attribute}{self.operator}{self.value}"

    def holds(self, values: np.ndarray) -> np.ndarray:
        """Returns for each value of the attribute, [n] int64 or str, whether the condition holds.

        Raises:
          UserError: the value or the operator does not fit the type of the attribute.
        """
        if values.dtype.kind in "iu":
            try:
                return OPERATORS[self.operator](values, float(self.value))
            except ValueError:
                raise UserError(f"{self} compares {self.attribute} with {self.value!r}, which is no number") from None
        if self.operator not in ("=", "!="):
            known = nearest(self.value, np.unique(values).tolist())
            raise UserError(f"{self} orders {self.attribute}, which is text: use = or !=; {known}")
        return OPERATORS[self.operator](values, self.value)


def parse_conditions(text: str) -> tuple[Condition, ...]:
    """Parses conditions separated by commas.

    Raises:
      UserError: a part is not of the form `attribute>value`.
    """
    matches = [CONDITION.fullmatch(part) for part in text.split(",")]
    if not all(match and match[3] for match in matches):
        raise UserError(f"{text!r} is not of the form attribute>value, as in length>20 or style=long")
    return tuple(Condition(*match.groups()) for match in matches if match)


def parse_slices(text: str) -> tuple[tuple[Condition, ...], tuple[Condition, ...]]:
    """Parses the conditions of a slice, and those of the slice that is subtracted, or ().

    Raises:
      UserError: as `parse_conditions`.
    """
    first, minus, second = text.partition(MINUS)
    return parse_conditions(first), parse_conditions(second) if minus else ()


def format_slices(conditions: Iterable[Condition], minus: Iterable[Condition]) -> str:
    """Returns the text that `parse_slices` reads."""
    return MINUS.join(filter(None, (", ".join(map(str, one)) for one in (conditions, minus))))


def select_parts(
    parts: Sequence[np.ndarray], split: Mapping[str, Any], conditions: Sequence[Condition], minus: Sequence[Condition]
) -> list[np.ndarray]:
    """Returns the parts of a metric, [seed, item], on a slice. With `minus`, those of `metrics.metric.contrast`.

    Raises:
      UserError: as `select_items`.
    """
    if not minus:
        return [part[:, select_items(split, conditions)] for part in parts]
    return [part * select_items(split, one) for one in (conditions, minus) for part in parts]


def select_items(split: Mapping[str, Any], conditions: Iterable[Condition]) -> np.ndarray:
    """Returns for each item of a split whether all conditions hold, bool [n].

    Args:
      split: the record of a split, with `attributes`.

    Raises:
      UserError: an attribute is unknown, or no item is left.
    """
    selected = np.array(True)
    for condition in conditions:
        values = read_attribute(split, condition.attribute)
        holds = condition.holds(values)
        if not holds.any():
            raise UserError(f"no item has {condition}; {describe_values(condition.attribute, values)}")
        selected = selected & holds
    if not selected.any():
        raise UserError(f"no item has {', '.join(map(str, conditions))}")
    return selected


def read_attribute(split: Mapping[str, Any], name: str) -> np.ndarray:
    """Returns an attribute of a split's items, int64 or str [n].

    Raises:
      UserError: the split does not have it.
    """
    if name not in split["attributes"]:
        raise UserError(f"the items have no attribute {name!r}; {nearest(name, split['attributes'])}")
    return unpack_attribute(split["attributes"][name])


def describe_values(name: str, values: np.ndarray) -> str:
    """Returns the range of an attribute, as in `length is 5 to 18`."""
    if values.dtype.kind in "iu":
        return f"{name} is {values.min()} to {values.max()}"
    return f"{name} is one of {', '.join(np.unique(values)[:MAX_LABELS])}"


def bins(name: str, values: np.ndarray) -> list[tuple[Condition, ...]]:
    """Returns the conditions of slices that cover all items: ranges with about equally many items, or single labels.

    Raises:
      UserError: a text attribute has more than MAX_LABELS labels.
    """
    distinct = np.unique(values)
    is_number = values.dtype.kind in "iu"
    if not is_number and len(distinct) > MAX_LABELS:
        raise UserError(
            f"{name} has {len(distinct)} values, which are too many for a column each; name one, as in "
            f"test[{name}={distinct[0]}]/exact"
        )
    if not is_number or len(distinct) <= MAX_BINS:
        return [(Condition(name, "=", str(value)),) for value in distinct]
    ends = np.unique(np.quantile(values, np.linspace(0, 1, MAX_BINS + 1)[1:], method="inverted_cdf")).astype(int)
    starts = [int(values.min()), *(ends[:-1] + 1).tolist()]
    return [_range(name, low, high) for low, high in zip(starts, ends.tolist(), strict=True)]


def _range(name: str, low: int, high: int) -> tuple[Condition, ...]:
    if low == high:
        return (Condition(name, "=", str(low)),)
    return Condition(name, ">=", str(low)), Condition(name, "<=", str(high))
