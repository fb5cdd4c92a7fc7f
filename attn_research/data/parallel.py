"""Aligned lines in two languages, from files or from the Hugging Face hub."""

import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from attn_research.data.files import find_file, find_folder, read_lines
from attn_research.errors import UserError
from attn_research.registry import nearest

HUB = "hub:"
TRANSLATION = "translation"  # a column of texts by language, {"de": ..., "en": ...}
DEV = ("dev", "val", "valid", "validation")  # accepted names of the development split

Languages = tuple[str, str]  # (source, target)


class Pairs(NamedTuple):
    """One split: line `numbers[i]`, from 1, of both sides."""

    title: str  # `train.de.gz and train.en.gz`
    name: str  # the source's file or split, for `where`
    numbers: Sequence[int]
    sources: Sequence[str]
    targets: Sequence[str]

    def where(self, i: int) -> str:
        """Returns file and line of pair `i`, for messages."""
        return f"{self.name}:{self.numbers[i]}"

    def select(self, indices: Collection[int]) -> "Pairs":
        """Returns the pairs at these indices."""
        numbers = [self.numbers[i] for i in indices]
        sources, targets = ([side[i] for i in indices] for side in (self.sources, self.targets))
        return Pairs(self.title, self.name, numbers, sources, targets)


def read_pairs(
    path: str, languages: Languages, test: str, configuration: str = "", held_out: int = 0
) -> dict[str, Pairs]:
    """Reads the pairs of train, dev, test and every further split `test_<name>`.

    Args:
      path: a folder, or `hub:NAME`.
      languages: of the source and of the target.
      test: the name of the test split there.
      configuration: the configuration of a hub data set that has several.
      held_out: the number of training pairs that become dev, if there is no development split.

    Raises:
      UserError: something is missing or cannot be read, or the two sides have different numbers of lines; or with
        `held_out`, there is a development split, or no training pair remains.
    """
    if path.startswith(HUB):
        pairs = _from_hub(path.removeprefix(HUB), configuration, languages, test, held_out)
    elif configuration:
        raise UserError(f"configuration is {configuration!r}, but only a data set of the hub ({HUB}NAME) has one")
    else:
        files = find_files(path, languages, test, held_out)
        pairs = {split: read_files(*of_split) for split, of_split in files.items()}
    return pairs | hold_out(pairs["train"], held_out) if held_out else pairs


def hold_out(train: Pairs, number: int) -> dict[str, Pairs]:
    """Returns train and dev: `number` of the pairs, evenly spread over the lines, are dev."""
    total = len(train.numbers)
    if number >= total:
        raise UserError(f"held_out is {number}, but {train.title} have only {total} pairs")
    chosen = {i * total // number for i in range(number)}
    return {"train": train.select([i for i in range(total) if i not in chosen]), "dev": train.select(sorted(chosen))}


def _split_names(names: Collection[str], test: str, held_out: int) -> dict[str, str]:
    """Returns `{split: its name in the data}`, without dev if it is held out. A missing split is not in `names`."""
    extra_tests = [name for name in names if name.startswith("test_") and name != test]
    dev = next((name for name in DEV if name in names), DEV[0])
    if held_out and dev in names:
        raise UserError(f"held_out is {held_out}, but the data has a development split, {dev!r}; set held_out=0")
    known = {"train": "train", "test": test} if held_out else {"train": "train", "dev": dev, "test": test}
    return known | {name: name for name in sorted(extra_tests)}


def find_files(path: str, languages: Languages, test: str, held_out: int = 0) -> dict[str, list[Path]]:
    """Returns the source and target file of every split in the folder `path`. Dev has none if pairs are held out.

    Raises:
      UserError: the folder or a file is missing, or there are files of dev although pairs are held out.
    """
    folder = find_folder(path)
    files = [name.removesuffix(".gz") for name in os.listdir(folder)]
    stems = [{name.removesuffix(f".{side}") for name in files if name.endswith(f".{side}")} for side in languages]
    data_splits = _split_names(stems[0] & stems[1], test, held_out)
    return {split: [find_file(folder, f"{name}.{side}") for side in languages] for split, name in data_splits.items()}


def read_files(source: Path, target: Path) -> Pairs:
    """Returns the pairs of two files.

    Raises:
      UserError: a file cannot be read, or they have different numbers of lines.
    """
    sources, targets = list(read_lines(source)), list(read_lines(target))
    if len(sources) != len(targets):
        message = f"{source} has {len(sources)} lines, but {target.name} has {len(targets)}"
        raise UserError(f"{message}; they must be aligned line by line")
    return Pairs(f"{source.name} and {target.name}", source.name, range(1, len(sources) + 1), sources, targets)


def _from_hub(name: str, configuration: str, languages: Languages, test: str, held_out: int) -> dict[str, Pairs]:
    data = _load(name, configuration)
    data_splits = _split_names(data.keys(), test, held_out)
    for data_split in data_splits.values():
        if data_split not in data:
            raise UserError(f"data set {name!r} has no split {data_split!r}; {nearest(data_split, data)}")
    return {
        split: _from_columns(data[data_split], data_split, languages, name) for split, data_split in data_splits.items()
    }


def _load(name: str, configuration: str) -> Any:
    """Loads a data set of the hub, or a folder with data files."""
    import datasets

    try:
        known = datasets.get_dataset_config_names(name)
        if configuration and configuration not in known:
            raise UserError(
                f"data set {name!r} has no configuration {configuration!r}; {nearest(configuration, known)}"
            )
        if not configuration and len(known) > 1 and not datasets.get_dataset_default_config_name(name):
            known = ", ".join(known)
            raise UserError(f"data set {name!r} needs configuration=... in the task, since it has several: {known}")
        return datasets.load_dataset(name, configuration or None)
    except UserError:
        raise
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        message = " ".join(str(error).split())
        raise UserError(f"cannot load data set {name!r} from the Hugging Face hub: {message}") from error


def _from_columns(data: Any, data_split: str, languages: Languages, name: str) -> Pairs:
    """Returns the pairs of a split with a column for each language, or with a column of texts by language."""
    title = f"split {data_split!r} of data set {name!r}"
    if TRANSLATION in data.column_names and not set(languages) <= set(data.column_names):
        inside, data = data.features[TRANSLATION], data.select_columns(TRANSLATION).flatten()
        data = data.rename_columns({column: column.removeprefix(f"{TRANSLATION}.") for column in data.column_names})
        if TRANSLATION in data.column_names:
            raise UserError(f"column {TRANSLATION!r} of {title} is {inside}, but must be texts by language")
    for column in languages:
        if column not in data.column_names:
            raise UserError(f"{title} has no column {column!r}; {nearest(column, data.column_names)}")
        if getattr(data.features[column], "dtype", None) not in ("string", "large_string"):
            raise UserError(f"column {column!r} of data set {name!r} is {data.features[column]}, but must be text")
    sides = ([line or "" for line in data[column][:]] for column in languages)
    return Pairs(f"split {data_split!r} of {name}", data_split, range(1, len(data) + 1), *sides)
