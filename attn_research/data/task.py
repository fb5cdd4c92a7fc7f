"""Tasks: functions that return a `datasets.DatasetDict` of source and target symbols.

**A task of your own** is a function in a file of your own, and a config names it as `data.task=my_tasks.py:backwards`.
Every parameter needs a default and is an option: `my_tasks.py:backwards(train=500)`.

    # my_tasks.py
    from attn_research.data.task import from_columns

    def backwards(train: int = 1000):
        def split(numbers):
            source = [list(str(number)) for number in numbers]
            return {"source": source, "target": [symbols[::-1] for symbols in source]}

        sizes = {"train": range(train), "dev": range(train, train + 100), "test": range(train + 100, train + 200)}
        return from_columns({name: split(numbers) for name, numbers in sizes.items()})

**Splits.** `train`, `dev` and `test` are required. Further test splits are named `test_<name>`.

**Columns.** `source` and `target` are required, the others are optional.

- `source`, `target`: lists of symbols (strings). `<unk>` is a symbol that the task does not know.
- `alignment`: the gold alignment, a list of [source index, target index] pairs. Indices start at 0 and count the
  symbols of `source` and `target` (the subwords, if symbols are subwords).
- `sure`, `possible`: gold links between words, lists of [source word, target word] pairs, from 0, for `word_aer` and
  its relatives. With symbols that are not words, `source_words` and `target_words` have the index of the word of each
  symbol.
- `references`: all correct targets, `target` first.
- `raw`: the original lines of all correct targets. With this column, outputs are scored as text by BLEU and chrF, in
  composed form (NFC) and with single spaces. BLEU's tokenizer follows the script of the lines; an option `tokenize` of
  the task overrides it.
- `raw_source`: the original line of the source, from which an evaluation copies words for unknown output symbols.
- `where`: file and line of the item, such as `train.tsv.gz:17`, for messages.
- `attributes`: a dict for each item, with the same keys for all: strings or whole numbers from 0 to 65,535, such as
  `{"style": "long"}`. Tables and figures can slice a split by them, as in the column `test[style=long]/exact`. Every
  task has the attributes of data/attributes.py.
- `ceiling`: the probability that the best possible system, which sees only the source, gets the item right. Needed only
  where it is below one.

**Symbols.** `translate` splits new lines into symbols by the trait `symbols` (see `tasks`). A task that
learns its segmentation from its data is registered with `symbols="learned"`. Its DatasetDict has an attribute
`segmentations`: the pair of source and target segmentation.
"""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attn_research import user_modules
from attn_research.data.attributes import check_attributes
from attn_research.data.segmentation import SEGMENTATIONS, Characters, Segmentation, Words
from attn_research.data.table_cache import cached_tables
from attn_research.errors import UserError
from attn_research.registry import Registry, Spec, nearest

DatasetDict = Any  # datasets.DatasetDict, whose import takes more than a second
Tables = dict[str, "pyarrow.Table"]  # by split name

if TYPE_CHECKING:
    import pyarrow

# Traits, all optional: `@tasks.register(symbols="words", generated=True)`.
# symbols: how a line becomes source symbols; a key of SEGMENTATIONS, or "learned" from the task's data.
# outputs: how target symbols become a line; a key of SEGMENTATIONS, as "words" if spaces separate them, or "any", which
#   infers it: spaces separate symbols of several characters.
# generated: the items depend only on the options, the task's own file and this folder, so they can be cached.
# explicit: options that the normal form of a spec always names, even at their default, as committed configs do.
# check_files: raises a UserError if a file that the options name is missing; a function of the options returns it.
# read_test: reads the files of another test set; a function of the options returns it, and it is called as
#   (files, (source, target) segmentation) -> {column: values}. None: the task reads no such files.
tasks = Registry(
    "task", symbols="characters", outputs="any", generated=False, explicit=(), check_files=None, read_test=None
)

SPLITS = ("train", "dev", "test")
COLUMNS = ("source", "target")


@functools.lru_cache(maxsize=4)
def load(spec: Spec) -> DatasetDict:
    """Returns the splits of a task. A second call in the same process returns the same object.

    Raises:
      UserError: an unknown task or option, data that cannot be read, a missing split or column or one of another type,
        an empty split, an item with an empty source or target, or an alignment with an index out of range.
    """
    import datasets

    splits = tasks.bind(spec)()
    if not isinstance(splits, datasets.DatasetDict):
        raise UserError(f"task {spec} returns a {type(splits).__name__}, but must return a datasets.DatasetDict")
    for name in SPLITS:
        if name not in splits:
            raise UserError(f"task {spec} has no split {name!r}; {nearest(name, splits)}")
    for name, split in splits.items():
        check_split(split, f"split {name!r} of task {spec}")
    return splits


def tables(spec: Spec) -> Tables:
    """Returns the splits of a task as Arrow tables, without a copy.

    The tables of a generated task are cached on disk for later processes.

    Raises:
      UserError: as `load`.
    """
    bound = tasks.bind(spec)
    if not bound.traits.generated:
        return _load_tables(spec)
    name = f"{bound.function.__name__} {bound.hyper} {_code(spec, bound.function)}"
    return cached_tables(name, functools.partial(_load_tables, spec))


def _load_tables(spec: Spec) -> Tables:
    return {name: split.with_format("arrow")[:] for name, split in load(spec).items()}


def _code(spec: Spec, function: Callable) -> Any:
    """The task's own code: the hashes of a user's file and its imports, or the text of a built-in module."""
    if spec.module:
        return user_modules.read(spec.module).hashes()
    return Path(inspect.getfile(function)).read_text("utf-8")


def check_split(split: Any, title: str) -> None:
    """Checks the columns of a split, which `title` names in messages; raises a UserError."""
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
    if "sure" in split.column_names:
        _check_word_links(split, title)
    if "attributes" in split.column_names:
        check_attributes(split.with_format("arrow")[:]["attributes"], title)


def _check_alignment(split: Any, title: str) -> None:
    table = split.with_format("arrow")[:]
    source, target = (_lengths(table, column).tolist() for column in COLUMNS)
    _check_links(table["alignment"].to_pylist(), source, target, "symbol", title)


def _check_word_links(split: Any, title: str) -> None:
    if "possible" not in split.column_names:
        raise UserError(
            f"{title} has the column 'sure', but no column 'possible'; {nearest('possible', split.column_names)}"
        )
    table = split.with_format("arrow")[:]
    source, target = (_word_counts(table, column, title) for column in COLUMNS)
    for column in ("sure", "possible"):
        _check_links(table[column].to_pylist(), source, target, "word", title)


def _word_counts(table: "pyarrow.Table", side: str, title: str) -> list[int]:
    """Returns the number of words of each item: of symbols without a column of words."""
    lengths, column = _lengths(table, side).tolist(), f"{side}_words"
    if column not in table.column_names:
        return lengths
    for item, (words, length) in enumerate(zip(table[column].to_pylist(), lengths, strict=True)):
        if len(words) != length or min(words) < 0:
            raise UserError(
                f"{title}: {column} of item {item} is {words}, but must be an index, from 0, for each of its {length} "
                f"{side} symbols"
            )
    return [max(words) + 1 for words in table[column].to_pylist()]


def _check_links(items: Iterable, sources: list[int], targets: list[int], unit: str, title: str) -> None:
    for item, (links, source, target) in enumerate(zip(items, sources, targets, strict=True)):
        for i, j in links:
            if not (0 <= i < source and 0 <= j < target):
                raise UserError(
                    f"{title}: item {item} aligns source {unit} {i} with target {unit} {j}, but has {source} and "
                    f"{target} {unit}s"
                )


def _lengths(table: "pyarrow.Table", column: str) -> np.ndarray:
    import pyarrow.compute

    return pyarrow.compute.list_value_length(table[column]).fill_null(0).to_numpy()


def from_columns(splits: Mapping[str, Mapping[str, list]]) -> DatasetDict:
    """Returns `{split: {column: values}}` as a DatasetDict in memory."""
    import datasets

    return datasets.DatasetDict({name: datasets.Dataset.from_dict(columns) for name, columns in splits.items()})


def read_test(spec: Spec, files: Sequence[Path], segmentations: Sequence[Segmentation]) -> "pyarrow.Table":
    """Returns another test set, read from files in the format of the task.

    Args:
      segmentations: of source and target, as a run of the task uses them.

    Raises:
      UserError: the task reads no files, or they cannot be read or have another form.
    """
    traits = tasks.bind(spec).traits
    if traits.read_test is None:
        able = ", ".join(sorted(name for name in tasks.functions if tasks.bind(Spec(name)).traits.read_test))
        raise UserError(f"task {spec} cannot read a test set from files; tasks that can: {able}")
    columns = traits.read_test(files, segmentations)
    title, split = ", ".join(map(str, files)), from_columns({"test": columns})["test"]
    check_split(split, title)
    return split.with_format("arrow")[:]


def learns_segmentation(spec: Spec) -> bool:
    """Whether the task learns its segmentations from its data."""
    return tasks.bind(spec).traits.symbols == "learned"


def default_segmentations(spec: Spec, symbols: Iterable[str]) -> tuple[Segmentation, Segmentation]:
    """Returns the source and target segmentation of a task that learns none.

    Args:
      symbols: the target symbols of the task.
    """
    traits = tasks.bind(spec).traits
    if traits.outputs != "any":
        return SEGMENTATIONS[traits.symbols], SEGMENTATIONS[traits.outputs]
    spaced = any(len(symbol) > 1 for symbol in symbols)
    return SEGMENTATIONS[traits.symbols], Words() if spaced else Characters()


def check_lengths(splits: Tables, limit: int | None, variant: str) -> None:
    """Checks that no source is longer than an attention variant allows.

    Args:
      limit: the most source symbols that the variant allows; None for no limit.
      variant: the variant's spec, for the message.

    Raises:
      UserError: a source is longer; the message names its file and line, or its split and index.
    """
    if limit is None:
        return
    for name, table in splits.items():
        lengths = _lengths(table, "source")
        if lengths.max() > limit:
            index = int((lengths > limit).argmax())
            where = table["where"][index] if "where" in table.column_names else f"item {index} of split {name!r}"
            raise UserError(f"{where}: the source has {lengths[index]} symbols, but {variant} allows at most {limit}")
