"""`attn-research figure` and `attn-research translate`: what a trained model looks at, and writes."""

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import count, islice
from pathlib import Path

from attn_research.commands.sweep import read_experiment
from attn_research.errors import UserError
from attn_research.runs import records
from attn_research.sweeps.expand import Experiment

BATCH = 512  # lines translated at a time, if they are not being typed


def figure(arguments: argparse.Namespace) -> int:
    """Draws the attention maps of one test item, a map for each row of the experiment's table."""
    from attn_research.reports.figures import attention_maps
    from attn_research.reports.items import load_item

    experiment, runs = read_experiment(arguments), Path(arguments.runs)
    directories = _first_runs(experiment, runs)
    if not directories:
        raise UserError(f"no run of {experiment.name} is finished in {runs}; `attn-research sweep` makes them")
    items = {label: load_item(directory, arguments.item) for label, directory in directories.items()}
    for path in attention_maps(items, runs / "reports" / experiment.name):
        print(path)
    return 0


def _first_runs(experiment: Experiment, runs: Path) -> dict[str, Path]:
    """The directory of the first finished run of every row."""
    found = records.by_config(records.load_runs(runs))
    directories: dict[str, Path] = {}
    for config in experiment.runs:
        if config in found and found[config]["status"] == "finished":
            directories.setdefault(experiment.table.label(config), runs / found[config]["id"])
    return directories


def translate(arguments: argparse.Namespace) -> int:
    """Prints an output line, or the n best, for every input line; draws the attention of the first if asked to."""
    if arguments.step is not None and arguments.attention is None:
        raise UserError("--step chooses the bars of a picture, so it needs --attention OUT.png")
    from attn_research.translator import load

    translator = load(arguments.run, _search(arguments))
    if arguments.nbest and translator.config.decode.beam == 1:
        raise UserError("--nbest lists the hypotheses of a beam, and greedy search has one; it needs --beam 2 or more")
    picture, numbers = arguments.attention, count(1)
    typed = arguments.input is None and sys.stdin.isatty()
    for lines in _batches(_lines(arguments.input), 1 if typed else BATCH):
        made = translator.n_best(lines)
        for found in made:
            _print(found, translator.join, next(numbers) if arguments.nbest else None)
        if picture is not None:
            _draw(made[0][0], arguments.step, picture)
            picture = None
    return 0


def _search(arguments: argparse.Namespace) -> dict[str, int | str]:
    """What the command line changes in the run's config."""
    said = {"decode.beam": arguments.beam, "decode.length_penalty": arguments.length_penalty}
    return {name: value for name, value in said.items() if value is not None}


def _print(found: list, join: Callable, number: int | None) -> None:
    """The best output, or with a line number all of them with their scores."""
    if number is None:
        print(join(found[0].output), flush=True)
        return
    for one in found:
        print(number, f"{one.score:.4f}", join(one.output), sep="\t", flush=True)


def _lines(path: str | None) -> Iterator[str]:
    """The lines of a file or of standard input, without their ends."""
    name, number = path or "standard input", 0
    with open(path or 0, encoding="utf-8", closefd=path is not None) as file:
        try:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    raise UserError(f"{name}:{number} is empty, and there is nothing to translate")
                yield line.rstrip("\n")
        except UnicodeDecodeError as error:
            raise UserError(f"{name} is not UTF-8 text, somewhere after line {number}") from error


def _batches(lines: Iterator[str], size: int) -> Iterable[list[str]]:
    return iter(lambda: list(islice(lines, size)), [])


def _draw(translation, step: int | None, path: str) -> None:
    from attn_research.reports.figures import attention_maps, bars
    from attn_research.reports.items import Item

    item = Item(translation.source, translation.output, translation.weights)
    made = attention_maps({"": item}, path) if step is None else bars(item, step, path)
    print(*made, file=sys.stderr)
