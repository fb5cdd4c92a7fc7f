"""What a task is: a registered function that hands out a `datasets.DatasetDict`.

Its splits are `train`, `dev`, `test`, and further test splits named `test_<what>`. Columns:

- `source`, `target`: lists of symbols;
- `alignment`, if gold alignments are known: list of [source index, target index], from 0, of the symbols in `source`
  and `target` (of subwords, if these are subwords);
- `references`, if several targets are right: all of them, `target` first;
- `raw`, if outputs are to be scored as text, by BLEU and chrF: the lines of all right targets, as people wrote them;
  they are compared in composed form (NFC) and with single blanks, and BLEU's tokenizer is that of their script, or the
  one that an option `tokenize` of the task names;
- `where`, if the items stand in a file: `train.tsv.gz:17`, for messages;
- `ceiling`, if it may be below one: the probability with which the best possible system, which sees the source
  alone, answers that item right.

A symbol `<unk>` stands for one that the task does not know. A task that learns how lines become symbols from its data
is registered with `symbols="learned"`, and its DatasetDict has an attribute `segmentations`: source's and target's.
"""

import functools
import inspect
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attn_research import user_modules
from attn_research.data.segmentation import SEGMENTATIONS, Characters, Segmentation, Words
from attn_research.data.table_cache import cached_tables
from attn_research.errors import UserError
from attn_research.registry import Registry, Spec, nearest

DatasetDict = Any  # datasets.DatasetDict, whose import takes more than a second
Tables = dict[str, "pyarrow.Table"]  # by the split's name

if TYPE_CHECKING:
    import pyarrow

# symbols: how a line of text becomes source symbols; a name of SEGMENTATIONS, or "learned" from its data.
# outputs: "words" if target symbols are written with spaces between them; else they are if one has several characters.
# generated: its items come from nothing but its options, its own file and this folder, so that they can be kept.
# find: raises a UserError if the files that its options name are not there.
# written: options that a spec's normal form names even where they have their default, as committed configs do.
tasks = Registry("task", symbols="characters", outputs="any", generated=False, written=(), find=None)

SPLITS = ("train", "dev", "test")
COLUMNS = ("source", "target")


@functools.lru_cache(maxsize=4)
def load(spec: Spec) -> DatasetDict:
    """The splits of the task that `spec` names; a second call in the same process hands out the same object.

    Raises:
      UserError: an unknown task or option, data that cannot be read, a split or column that is not there or of
        another type, an empty split, an item with an empty source or target, or an alignment outside of them.
    """
    import datasets

    splits = tasks.bind(spec)()
    if not isinstance(splits, datasets.DatasetDict):
        raise UserError(f"task {spec} gives a {type(splits).__name__}, but must give a datasets.DatasetDict")
    for name in SPLITS:
        if name not in splits:
            raise UserError(f"task {spec} has no split {name!r}; {nearest(name, splits)}")
    for name, split in splits.items():
        _check(split, f"split {name!r} of task {spec}")
    return splits


def tables(spec: Spec) -> Tables:
    """What `load` gives as Arrow tables, of which nothing is copied; what is generated is kept for the next process."""
    bound = tasks.bind(spec)

    def make() -> Tables:
        return {name: split.with_format("arrow")[:] for name, split in load(spec).items()}

    if not bound.traits.generated:
        return make()
    # Of a task that stands elsewhere, too, with what it imports from beside it.
    code = (
        user_modules.read(spec.module).hashes()
        if spec.module
        else Path(inspect.getfile(bound.function)).read_text("utf-8")
    )
    return cached_tables(f"{bound.function.__name__} {bound.hyper} {code}", make)


def _check(split: Any, title: str) -> None:
    import datasets

    tokens = datasets.List(datasets.Value("string"))
    if not len(split):
        raise UserError(f"{title} is empty")
    for column in COLUMNS:
        if column not in split.column_names:
            raise UserError(f"{title} has no column {column!r}; {nearest(column, split.column_names)}")
        if split.features[column] != tokens:
            raise UserError(f"{title}: {column} is {split.features[column]}, but must be lists of strings")
        lengths = _lengths(split.with_format("arrow")[:], column)
        if not lengths.all():
            raise UserError(f"{title}: item {lengths.argmin()} has an empty {column}")
    if "alignment" in split.column_names:
        _check_alignment(split, title)


def _check_alignment(split: Any, title: str) -> None:
    table = split.with_format("arrow")[:]
    sizes = zip(*(_lengths(table, column) for column in COLUMNS), strict=True)
    for item, (links, (source, target)) in enumerate(zip(table["alignment"].to_pylist(), sizes, strict=True)):
        for i, j in links:
            if not (0 <= i < source and 0 <= j < target):
                raise UserError(
                    f"{title}: item {item} aligns source symbol {i} with target symbol {j}, but has {source} and "
                    f"{target} symbols"
                )


def _lengths(table: "pyarrow.Table", column: str) -> np.ndarray:
    import pyarrow.compute

    return pyarrow.compute.list_value_length(table[column]).fill_null(0).to_numpy()


def from_columns(splits: Mapping[str, Mapping[str, list]]) -> DatasetDict:
    """`{split: {column: values}}` as a DatasetDict in memory."""
    import datasets

    return datasets.DatasetDict({name: datasets.Dataset.from_dict(columns) for name, columns in splits.items()})


def learns_segmentation(spec: Spec) -> bool:
    """Whether the task learns its segmentations from its data."""
    return tasks.bind(spec).traits.symbols == "learned"


def default_segmentations(spec: Spec, symbols: Iterable[str]) -> tuple[Segmentation, Segmentation]:
    """Source's and target's segmentation of a task that learns none; `symbols` are those of the target."""
    traits = tasks.bind(spec).traits
    spaced = traits.outputs == "words" or any(len(symbol) > 1 for symbol in symbols)
    return SEGMENTATIONS[traits.symbols], Words() if spaced else Characters()


def check_lengths(splits: Tables, limit: int | None, variant: str) -> None:
    """Refuses sources of more symbols than `variant`, which is named in the message, can look at.

    Raises:
      UserError: a source is longer than `limit`; the first one is named by file and line, or by split and index.
    """
    if limit is None:
        return
    for name, table in splits.items():
        lengths = _lengths(table, "source")
        if lengths.max() > limit:
            index = int((lengths > limit).argmax())
            where = table["where"][index] if "where" in table.column_names else f"item {index} of split {name!r}"
            raise UserError(f"{where}: the source has {lengths[index]} symbols, but {variant} allows at most {limit}")
