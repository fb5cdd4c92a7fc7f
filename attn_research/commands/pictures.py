"""`attn-research figure` and `attn-research translate`: what a trained model looks at, and writes."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from attn_research.commands.lines import Line, LineReport, batches, open_input, read
from attn_research.commands.sweep import check_requested, read_experiment
from attn_research.config import Config
from attn_research.errors import UserError
from attn_research.reports.selection import select_current_code, select_same_data
from attn_research.runs import records
from attn_research.runs.identity import warn_unrecorded
from attn_research.sweeps.expand import Experiment
from attn_research.training.run_status import FRESH_HINT

BATCH = 512  # lines translated at a time, if they are not being typed


def figure(arguments: argparse.Namespace) -> int:
    """Draws the attention maps of one test item, a map for each row of the experiment's table."""
    from attn_research.reports.figures import attention_maps
    from attn_research.reports.items import load_item

    experiment, runs = read_experiment(arguments), Path(arguments.runs)
    check_requested(arguments, experiment.runs)
    directories = _first_runs(experiment, runs)
    if not directories:
        raise UserError(f"no run of {experiment.name} is finished in {runs}; `attn-research sweep` makes them")
    items = {label: load_item(directory, arguments.item) for label, directory in directories.items()}
    for path in attention_maps(items, runs / "reports" / experiment.name):
        print(path)
    return 0


def _first_runs(experiment: Experiment, runs: Path) -> dict[str, Path]:
    """The directory of the first finished run of every row.

    Raises:
      UserError: one was made with other code than there is now, or they were made with different data.
    """
    records_by_config = records.by_config(records.load_runs(runs))
    first: dict[str, Config] = {}
    for config in experiment.runs:
        if config in records_by_config and records_by_config[config]["status"] == "finished":
            first.setdefault(experiment.table.label(config), config)
    shown = {config: records_by_config[config] for config in first.values()}
    _, edited = select_current_code(shown, shown)
    _, others = select_same_data(shown)
    for config, reason in (edited | others).items():
        raise UserError(
            f"{runs / records_by_config[config]['id']} cannot be drawn beside the others: {reason}; {FRESH_HINT}"
        )
    warn_unrecorded(list(shown.values()), experiment.name)
    return {label: runs / records_by_config[config]["id"] for label, config in first.items()}


def translate(arguments: argparse.Namespace) -> int:
    """Prints an output line, or the n best, for every input line; draws the attention of the first if asked to.

    A line that is empty, too long or cannot be read gets an empty output, and the exit status is 1.
    """
    if arguments.step is not None and arguments.attention is None:
        raise UserError("--step chooses the bars of a picture, so it needs --attention OUT.png")
    from attn_research.translator import load

    translator = load(arguments.run, _search(arguments), arguments.trust)
    if arguments.nbest and translator.config.decode.beam == 1:
        raise UserError("--nbest lists the hypotheses of a beam, and greedy search has one; it needs --beam 2 or more")
    first, line_report = None, LineReport(arguments.input, translator)
    interactive = arguments.input is None and sys.stdin.isatty()
    with open_input(arguments.input) as stream:
        for lines in batches(read(stream), 1 if interactive else BATCH):
            translations = _translate(translator, lines, line_report, arguments.nbest)
            if first is None and translations:
                first = translations[0][0]
    line_report.finish()
    if first is not None and arguments.attention is not None:
        _draw(first, arguments.step, arguments.attention)
    return 1 if line_report.failed else 0


def _translate(translator, lines: list[Line], line_report: LineReport, nbest: bool) -> list[list]:
    """Prints the outputs of some lines in their order, and returns those of the lines that have any."""
    lines = [line if line.flaw else line._replace(flaw=translator.flaw(translator.split(line.text))) for line in lines]
    translations = translator.n_best([line.text for line in lines if not line.flaw])
    outputs = iter(translations)
    for line in lines:
        if line.flaw:
            line_report.fail(line)
            print(f"{line.number}\t\t" if nbest else "", flush=True)
        else:
            line_report.count_unknown(line)
            _print(next(outputs), translator.join, line.number if nbest else None)
    return translations


def _search(arguments: argparse.Namespace) -> dict[str, int | str]:
    """What the command line changes in the run's config."""
    options = {"decode.beam": arguments.beam, "decode.length_penalty": arguments.length_penalty}
    return {name: value for name, value in options.items() if value is not None}


def _print(n_best: list, join: Callable, number: int | None) -> None:
    """The best output, or with a line number all of them with their scores."""
    if number is None:
        print(join(n_best[0].output), flush=True)
        return
    best = {join(one.output): one for one in reversed(n_best)}  # several segmentations may be one text
    for one in n_best:
        if one is best[text := join(one.output)]:
            print(number, f"{one.score:.4f}", text, sep="\t", flush=True)


def _draw(translation, step: int | None, path: str) -> None:
    from attn_research.reports.figures import attention_maps, bars
    from attn_research.reports.items import Item

    item = Item(translation.source, translation.output, translation.weights)
    paths = attention_maps({"": item}, path) if step is None else bars(item, step, path)
    print(*paths, file=sys.stderr)
