"""Hashes of a task's data, over every column that can change a number."""

import functools
import hashlib
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from attn_research.data.task import tables
from attn_research.registry import Spec

if TYPE_CHECKING:
    import pyarrow

# Not hashed: file and line of an item, for messages, and what is known of it, for slices of a table.
UNHASHED = {"where", "attributes"}
# Nor in the identity of a run: no run reads it, only an evaluation that replaces unknown symbols.
UNREAD = {"raw_source"}


@functools.lru_cache(maxsize=256)
def fingerprint(spec: Spec) -> Mapping[str, str]:
    """Returns the first 16 hex characters of a sha256 over the columns of each split, by split name.

    Raises:
      UserError: as `task.load`.
    """
    return MappingProxyType({name: hash_table(table, UNHASHED | UNREAD) for name, table in tables(spec).items()})


def hash_table(table: "pyarrow.Table", unhashed: Collection[str] = UNHASHED) -> str:
    """Returns the first 16 hex characters of a sha256 over the other columns of a table."""
    sha = hashlib.sha256()
    for name in sorted(set(table.column_names) - set(unhashed)):
        sha.update(name.encode() + b"\0")
        for chunk in table.select([name]).combine_chunks()[name].chunks:
            _update(sha, chunk)
    return sha.hexdigest()[:16]


def _update(sha: Any, array: Any) -> None:
    """Hashes values, independent of the memory layout: for lists their lengths, then their items."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = array.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        sha.update(_to_bytes(pc.list_value_length(array).cast(pa.int64())))
        _update(sha, array.flatten())
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        sha.update(_to_bytes(pc.binary_length(array).cast(pa.int64())))
        sha.update("".join(text or "" for text in array.to_pylist()).encode())
    elif pa.types.is_integer(kind):
        sha.update(_to_bytes(array.cast(pa.int64())))
    elif pa.types.is_floating(kind):
        sha.update(_to_bytes(array.cast(pa.float64())))
    else:
        sha.update(repr(array.to_pylist()).encode())


def _to_bytes(numbers: Any) -> bytes:
    """Returns the numbers as bytes, with -1 for null.

    `fill_null` and pyarrow's `to_numpy` import pandas, which takes a second, so they are avoided where they can be.
    """
    return np.from_dlpack(numbers.fill_null(-1) if numbers.null_count else numbers).tobytes()
