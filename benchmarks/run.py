"""Measures speed and memory, question by question, and prints tables: `python -m benchmarks.run --help`."""

import argparse
import contextlib
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from attn_research.commands.arguments import Parser
from attn_research.commands.console import print_error, print_markdown
from attn_research.errors import UserError
from benchmarks import records, summary, tables
from benchmarks.measure import MeasurementPlan, measure, skipped_sides
from benchmarks.questions import QUESTIONS, growth, load_question

DEFAULT_QUESTIONS = ("step", "no_feeding", "peak", "padding", "start")
EXAMPLES = f"""\
examples:
  python -m benchmarks.run                    {", ".join(DEFAULT_QUESTIONS)}: few rows, under 4 minutes
  python -m benchmarks.run --full             all questions, all rows; takes hours
  python -m benchmarks.run decoding --full    one question, all rows
  python -m benchmarks.run step --show        the table of the record in benchmarks/results
  python -m benchmarks.run --insert docs/performance.md   (and README.md, which has the summary)
"""
RESULTS_HELP = "folder of records (default: runs/benchmarks; with --full, --show or --insert: benchmarks/results)"


def make_parser() -> Parser:
    """Returns the parser of the command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = Parser(prog="python -m benchmarks.run", description=__doc__, epilog=EXAMPLES, formatter_class=raw)
    parser.add_argument("questions", metavar="QUESTION", nargs="*", help=f"one of: {', '.join(QUESTIONS)}")
    parser.add_argument("--full", action="store_true", help="all rows, five repetitions, records in benchmarks/results")
    parser.add_argument(
        "--repetitions", metavar="N", type=int, help="number of repetitions (default: 1; with --full: 5)"
    )
    parser.add_argument("--blocks", metavar="N", type=int, help="quiet blocks that a repetition needs (default: 4)")
    parser.add_argument("--results", metavar="DIR", type=Path, help=RESULTS_HELP)
    parser.add_argument("--show", action="store_true", help="print the tables of committed records without measuring")
    parser.add_argument(
        "--insert", metavar="FILE", type=Path, help="update the tables and plots of a file from records"
    )
    return parser


def table_of(name: str, directory: Path) -> str:
    """Returns the table of a question's record, or the summary; empty if there is no record."""
    if name == tables.SUMMARY:
        existing = {name: record for name in QUESTIONS if (record := records.read(directory, name))}
        return summary.table(existing) if existing else ""
    question, record = load_question(name), records.read(directory, name)
    return question.table(record) if record else ""


def measure_questions(names: Sequence[str], plan: MeasurementPlan, directory: Path) -> None:
    """Measures all rows once per repetition, and writes a question's record after each of its rows."""
    questions = {name: load_question(name) for name in names}
    plans = {name: plan._replace(blocks=question.blocks or plan.blocks) for name, question in questions.items()}
    rows = [(name, row, specs) for name in names for row, specs in questions[name].rows(plan.full).items()]
    new_records = {name: records.new_record(name, plans[name]) for name in names}
    with tempfile.TemporaryDirectory() as scratch, progress_display(len(rows) * plan.repetitions) as report:
        environment = cache_environment(Path(scratch))
        for repetition in range(plan.repetitions):
            for number, (name, row, specs) in enumerate(rows):
                report(f"{name}: {row}")
                record = new_records[name]
                sides = measure(f"{name}, {row}", specs, plans[name], Path(scratch) / str(number), environment)
                records.add(record, row, sides)
                record["left_out"] += [f"{row}, {side}" for side in skipped_sides(specs) if not repetition]
                records.write(directory, record)


def cache_environment(scratch: Path) -> Mapping[str, str]:
    """Returns variables that keep compilation caches in `scratch`, so that the first repetition compiles everything."""
    return {"ATTN_RESEARCH_CACHE": str(scratch / "xla"), "TORCHINDUCTOR_CACHE_DIR": str(scratch / "inductor")}


@contextlib.contextmanager
def progress_display(total: int) -> Iterator[Callable[[str], None]]:
    """Shows the progress over `total` rows: a bar on a terminal, else one line per row.

    Yields:
      A function to call with the name of each row when it begins.
    """
    if sys.stdout.isatty():
        with _progress_bar(total) as report:
            yield report
        return
    start, rows = time.monotonic(), iter(range(1, total + 1))

    def report(row: str) -> None:
        print(f"[{next(rows)}/{total}] {time.monotonic() - start:.0f} s: {row}", flush=True)

    yield report


@contextlib.contextmanager
def _progress_bar(total: int) -> Iterator[Callable[[str], None]]:
    """Redraws once per second only, because drawing itself would count as a busy machine."""
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=Console(), transient=True, refresh_per_second=1) as progress:
        bar, numbers = progress.add_task("starting", total=total), iter(range(total))
        yield lambda row: progress.update(bar, completed=next(numbers), description=row)


def insert(file: Path, directory: Path) -> None:
    """Updates the tables of a file, and the plot of `growth` if the file shows it."""
    tables.fill_file(file, lambda name: table_of(name, directory))
    picture = file.with_name("performance_growth.png")
    plotted = [records.read(directory, name) for name in ("growth", "additive")]
    if all(plotted) and picture.name in file.read_text(encoding="utf-8"):
        growth.draw(*plotted, picture)


def run(arguments: argparse.Namespace) -> None:
    """Executes the command line."""
    names = arguments.questions or (QUESTIONS if arguments.full or arguments.show else DEFAULT_QUESTIONS)
    for name in names:
        load_question(name)
    committed = arguments.full or arguments.show or arguments.insert
    directory = arguments.results or (records.RESULTS if committed else records.ROOT / "runs" / "benchmarks")
    if arguments.insert:
        insert(arguments.insert, directory)
        return
    if not arguments.show:
        measure_questions(names, make_plan(arguments), directory)
    for name in names:
        print_markdown(table_of(name, directory) or f"There is no record of {name} in {directory}.\n")
        print()


def make_plan(arguments: argparse.Namespace) -> MeasurementPlan:
    """Returns the plan that the options ask for.

    Raises:
      UserError: a number is less than 1.
    """
    for option in ("repetitions", "blocks"):
        value = getattr(arguments, option)
        if value is not None and value < 1:
            raise UserError(f"--{option} is {value}, but must be at least 1")
    repetitions, waiting = (5, 60.0) if arguments.full else (1, 5.0)
    blocks = arguments.blocks or 4
    return MeasurementPlan(arguments.full, arguments.repetitions or repetitions, blocks, seconds=1.0, waiting=waiting)


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 if done, 130 if interrupted, 2 for a user's error or sides that do not agree."""
    arguments = make_parser().parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        run(arguments)
    except (ValueError, OSError) as error:
        print_error(str(error))
        return 2
    except KeyboardInterrupt:
        print_error("stopped; records have the rows that were measured")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
