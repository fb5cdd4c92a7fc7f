"""Asks questions of the code's speed, and prints the tables of their records: `python -m benchmarks.run --help`."""

import argparse
import importlib
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from attn_research.cli import Parser
from attn_research.commands.console import print_error, print_markdown
from attn_research.registry import nearest
from benchmarks import plots, results, summary, tables
from benchmarks.measure import MeasurementPlan, measure, skipped_sides
from benchmarks.progress import progress_display
from benchmarks.question import Question

QUESTIONS = (
    "step",
    "scores",
    "scan",
    "no_feeding",
    "peak",
    "growth",
    "additive",
    "padding",
    "start",
    "decoding",
    "sweep",
)
DEFAULT_QUESTIONS = ("step", "no_feeding", "peak", "padding", "start")  # what is asked when nothing is said
EXAMPLES = f"""\
examples:
  python -m benchmarks.run                    {", ".join(DEFAULT_QUESTIONS)}: few rows, under 4 minutes
  python -m benchmarks.run --full             everything, for hours
  python -m benchmarks.run decoding --full    one question, all of its rows
  python -m benchmarks.run step --show        the table of the record in benchmarks/results
  python -m benchmarks.run --insert docs/performance.md   (and README.md, which has the summary)
"""
RECORDS = "where records are (default: runs/benchmarks; with --full, --show and --insert benchmarks/results)"


def make_parser() -> Parser:
    """The parser of the command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = Parser(prog="python -m benchmarks.run", description=__doc__, epilog=EXAMPLES, formatter_class=raw)
    parser.add_argument("questions", metavar="QUESTION", nargs="*", help=f"which ones: {', '.join(QUESTIONS)}")
    parser.add_argument("--full", action="store_true", help="all rows, five repetitions, records in benchmarks/results")
    parser.add_argument("--repetitions", metavar="N", type=int, help="how often all is measured (default: 1, full: 5)")
    parser.add_argument("--blocks", metavar="N", type=int, help="quiet blocks that a repetition needs (default: 4)")
    parser.add_argument("--results", metavar="DIR", type=Path, help=RECORDS)
    parser.add_argument("--show", action="store_true", help="measure nothing; print the tables of committed records")
    parser.add_argument("--insert", metavar="FILE", type=Path, help="measure nothing; renew a file's tables and plots")
    return parser


def find(name: str) -> Question:
    """A question by its name.

    Raises:
      ValueError: there is none; the nearest name is told.
    """
    if name not in QUESTIONS:
        raise ValueError(f"no question {name!r}; {nearest(name, QUESTIONS)}")
    return importlib.import_module(f"benchmarks.questions.{name}").question


def table_of(name: str, directory: Path) -> str:
    """The table of a question's record, or the summary of all; nothing where there is none."""
    if name == tables.SUMMARY:
        records = {name: record for name in QUESTIONS if (record := results.read(directory, name))}
        return summary.table(records) if records else ""
    question, record = find(name), results.read(directory, name)
    return question.table(record) if record else ""


def measure_questions(names: Sequence[str], plan: MeasurementPlan, directory: Path) -> None:
    """Measures everything once, then once more, and so on; a record is written whenever a row was measured."""
    questions = {name: find(name) for name in names}
    plans = {name: plan._replace(blocks=question.blocks or plan.blocks) for name, question in questions.items()}
    rows = [(name, row, specs) for name in names for row, specs in questions[name].rows(plan.full).items()]
    records = {name: results.new_record(name, plans[name]) for name in names}
    with tempfile.TemporaryDirectory() as scratch, progress_display(len(rows) * plan.repetitions) as report:
        environment = caches(Path(scratch))
        for repetition in range(plan.repetitions):
            for number, (name, row, specs) in enumerate(rows):
                report(f"{name}: {row}")
                measurement = measure(f"{name}, {row}", specs, plans[name], Path(scratch) / str(number), environment)
                results.add(records[name], row, measurement)
                records[name]["left_out"] += [f"{row}, {side}" for side in skipped_sides(specs) if not repetition]
                results.write(directory, records[name])


def caches(scratch: Path) -> Mapping[str, str]:
    """Compiled programs are kept for this run alone, so that the first steps of its first repetition compile."""
    return {"ATTN_RESEARCH_CACHE": str(scratch / "xla"), "TORCHINDUCTOR_CACHE_DIR": str(scratch / "inductor")}


def run(arguments: argparse.Namespace) -> None:
    """Does what the command line asks for."""
    names = arguments.questions or (QUESTIONS if arguments.full or arguments.show else DEFAULT_QUESTIONS)
    for name in names:
        find(name)
    committed = arguments.full or arguments.show or arguments.insert
    directory = arguments.results or (results.RESULTS if committed else results.ROOT / "runs" / "benchmarks")
    if arguments.insert:
        tables.fill_file(arguments.insert, lambda name: table_of(name, directory))
        picture = arguments.insert.with_name("performance_growth.png")
        growth, additive = (results.read(directory, name) for name in ("growth", "additive"))
        if growth and additive and picture.name in arguments.insert.read_text(encoding="utf-8"):
            plots.draw(growth, additive, picture)
        return
    if not arguments.show:
        repetitions, blocks, waiting = (5, 4, 60.0) if arguments.full else (1, 4, 5.0)
        plan = MeasurementPlan(
            arguments.full, arguments.repetitions or repetitions, arguments.blocks or blocks, 1.0, waiting
        )
        measure_questions(names, plan, directory)
    for name in names:
        print_markdown(table_of(name, directory) or f"There is no record of {name} in {directory}.\n")
        print()


def main(argv: Sequence[str] | None = None) -> int:
    """0: done, 2: the user's error, or two sides that compute different functions; 130: interrupted."""
    arguments = make_parser().parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        run(arguments)
    except (ValueError, OSError) as error:
        print_error(str(error))
        return 2
    except KeyboardInterrupt:
        print_error("stopped; what was measured is in the records")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
