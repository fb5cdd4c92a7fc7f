"""What is known of each item, so that tables and figures can slice a split by it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from attn_research.data.batching import EncodedSplit
from attn_research.errors import UserError

if TYPE_CHECKING:
    import pyarrow

# The attributes of every task.
BUILT_IN = {
    "length": "source symbols",
    "target_length": "target symbols",
    "frequency": "training items with the same target",
}
MAXIMUM = 2**16 - 1  # of a whole number; a record packs it into 16 bits


def check_attributes(column: "pyarrow.ChunkedArray", title: str) -> None:
    """Checks the column `attributes` of a task.

    Raises:
      UserError: it is not a dict of strings or small whole numbers for each item, or has the name of a built-in one.
    """
    import pyarrow as pa

    if not pa.types.is_struct(column.type):
        raise UserError(f"{title}: attributes are {column.type}, but must be a dict for each item")
    for field in column.type:
        if field.name in BUILT_IN:
            raise UserError(f"{title}: the attribute {field.name!r} is built in ({BUILT_IN[field.name]}); rename it")
    for item, values in enumerate(column.to_pylist()):
        for name, value in (values or {"attributes": values}).items():
            if not (isinstance(value, str) or (type(value) is int and 0 <= value <= MAXIMUM)):
                raise UserError(
                    f"{title}: item {item} has the attribute {name} {value!r}, but it must be a string or a whole "
                    f"number from 0 to {MAXIMUM}"
                )


def count_targets(train: EncodedSplit) -> Counter[bytes]:
    """Returns how often each target, as the bytes of its ids, occurs in training."""
    return Counter(train.target[row].tobytes() for row in range(len(train.target)))


def read_attributes(
    table: "pyarrow.Table", encoded: EncodedSplit, targets: Mapping[bytes, int] | None
) -> dict[str, Sequence]:
    """Returns the attributes of a split, a whole number or string for each item.

    Args:
      table: the columns of the task.
      encoded: the same items as ids.
      targets: as `count_targets` returns them; None: there is no attribute `frequency`.
    """
    numbers = {
        "length": encoded.source.lengths,
        "target_length": encoded.target.lengths - 1,  # without EOS
    }
    if targets is not None:
        frequency = [targets[encoded.target[row].tobytes()] for row in range(len(encoded.target))]
        numbers["frequency"] = np.array(frequency)
    result: dict[str, Sequence] = {name: np.minimum(values, MAXIMUM).tolist() for name, values in numbers.items()}
    if "attributes" in table.column_names:
        items = table["attributes"].to_pylist()
        result |= {name: [item[name] for item in items] for name in items[0]}
    return result
