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


def read_pairs(path: str, languages: Languages, test: str, configuration: str = "") -> dict[str, Pairs]:
    """Reads the pairs of train, dev, test and every further split `test_<name>`.

    Args:
      path: a folder, or `hub:NAME`.
      languages: of the source and of the target.
      test: the name of the test split there.
      configuration: the configuration of a hub data set that has several.

    Raises:
      UserError: something is missing or cannot be read, or the two sides have different numbers of lines.
    """
    if path.startswith(HUB):
        return _from_hub(path.removeprefix(HUB), configuration, languages, test)
    if configuration:
        raise UserError(f"configuration is {configuration!r}, but only a data set of the hub ({HUB}NAME) has one")
    return _from_folder(path, languages, test)


def _split_names(names: Collection[str], test: str) -> dict[str, str]:
    """Returns `{split: its name in the data}`. The name of a missing split is not in `names`."""
    extra_tests = [name for name in names if name.startswith("test_") and name != test]
    dev = next((name for name in DEV if name in names), DEV[0])
    return {"train": "train", "dev": dev, "test": test} | {name: name for name in sorted(extra_tests)}


def _from_folder(path: str, languages: Languages, test: str) -> dict[str, Pairs]:
    return {split: read_files(*files) for split, files in find_files(path, languages, test).items()}


def find_files(path: str, languages: Languages, test: str) -> dict[str, list[Path]]:
    """Returns the source and target file of every split in the folder `path`.

    Raises:
      UserError: the folder or a file is missing.
    """
    folder = find_folder(path)
    files = [name.removesuffix(".gz") for name in os.listdir(folder)]
    stems = [{name.removesuffix(f".{side}") for name in files if name.endswith(f".{side}")} for side in languages]
    data_splits = _split_names(stems[0] & stems[1], test)
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


def _from_hub(name: str, configuration: str, languages: Languages, test: str) -> dict[str, Pairs]:
    data = _load(name, configuration)
    data_splits = _split_names(data.keys(), test)
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
