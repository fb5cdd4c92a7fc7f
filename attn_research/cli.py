"""The command line: `attn-research COMMAND ...`. Nothing slow is imported before a command is known."""

import argparse
import contextlib
import functools
import importlib
import signal
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from attn_research.commands import streams
from attn_research.commands.console import print_error
from attn_research.commands.process import exit_immediately, exit_process, report_stop
from attn_research.errors import UserError, describe, user_line
from attn_research.registry import nearest
from attn_research.runs.environment import restart_process
from attn_research.runs.signals import StopRequest, StopRequested, never_stop
from attn_research.sweeps.execute import warnings_to, write_traceback

DESCRIPTION = (
    "Compare attention variants in recurrent encoder-decoders: train, sweep, and read tables made from records."
)
EPILOG = """\
examples:
  attn-research train configs/dates.py model.attention.score='concat(units=64)' seed=2
  attn-research sweep experiments/score_functions.py
  attn-research table experiments/score_functions.py
  attn-research check my_scores.py:cosine
  attn-research COMMAND --help

A variant is written name(option=value, ...), as in concat(units=64); a score of your own is FILE.py:name.
"""
STATUSES = """

A run whose loss is no finite number any more has diverged: it keeps its record, is not made again, and a table names it
without a number. exit status: 0: {done}; 1: a run failed, diverged or is being made by another process;
2: the command line, a config or a file is wrong, and nothing was started; 130: interrupted.
When standard output is closed or full, training goes on without printing.
"""
CHANGES = "config fields to set, as in seed=2 or model.attention.score=general, or preset:NAME"


class Parser(argparse.ArgumentParser):
    """Errors are one line, as all others of this program."""

    def error(self, message: str) -> NoReturn:
        print_error(f"{message}; see {self.prog} --help")
        sys.exit(2)

    def _check_value(self, action: argparse.Action, value: str) -> None:
        if action.choices is not None and value not in action.choices:
            raise argparse.ArgumentError(action, f"unknown value {value!r}; {nearest(value, action.choices)}")


def make_parser() -> Parser:
    """The parser of all commands."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = Parser(prog="attn-research", description=DESCRIPTION, epilog=EPILOG, formatter_class=raw)
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    for add in (_add_train, _add_sweep, _add_table, _add_figure, _add_translate, _add_scores, _add_check):
        add(commands)
    return parser


def _command(commands, name: str, body: str, summary: str, examples: str) -> Parser:
    """A command with its help; `body` is `module:function` below attn_research.commands."""
    command = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog="examples:\n" + "\n".join(f"  attn-research {name} {line}".rstrip() for line in examples.split("\n")),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(body=body, resume="", computes=False, only_prints=False)
    return command


def _add_runs(command: Parser) -> None:
    command.add_argument("--runs", metavar="DIR", default="runs", help="where runs are kept (default: runs)")


def _add_experiment(command: Parser) -> None:
    command.add_argument("experiment", metavar="EXPERIMENT", help="a file in experiments/")
    command.add_argument("changes", metavar="key=value", nargs="*", help=f"{CHANGES}, in every run")
    command.add_argument(
        "--add",
        metavar="key=value",
        action="append",
        default=[],
        help="more rows: every run again with this field set, as in model.attention.score=my_scores.py:cosine",
    )
    _add_runs(command)


def _add_wandb(command: Parser) -> None:
    help_text = (
        "log the metrics to Weights & Biases (default: off); the last offline folder of a run holds it from its "
        "beginning, and the run goes on if wandb fails"
    )
    command.add_argument("--wandb", choices=("off", "offline", "online"), default="off", help=help_text)


def _add_fresh(command: Parser, which: str) -> None:
    help_text = f"make {which} anew; the old directory is kept beside the new one, as ID.replaced-DATE"
    command.add_argument("--fresh", action="store_true", help=help_text)


def _add_train(commands) -> None:
    command = _command(
        commands,
        "train",
        "train:train",
        "train one config, or go on with it, and print how well it does",
        "configs/dates.py\n"
        "configs/dates.py model.attention.score='concat(units=64)' seed=2\n"
        "configs/dates.py preset:opennmt_mlp seed=2\n"
        "configs/dates.py --wandb offline",
    )
    command.add_argument("config", metavar="CONFIG", help="a file in configs/")
    command.add_argument("changes", metavar="key=value", nargs="*", help=CHANGES)
    _add_runs(command)
    _add_fresh(command, "the run")
    _add_wandb(command)
    command.set_defaults(resume="the same command goes on from the last checkpoint", computes=True)
    command.epilog += STATUSES.format(done="the run is finished")


def _add_sweep(commands) -> None:
    command = _command(
        commands,
        "sweep",
        "sweep:sweep",
        "make the runs of an experiment that are not done yet, several at a time",
        "experiments/score_functions.py\n"
        "experiments/score_functions.py --list\n"
        "experiments/score_functions.py train.steps=3000 --jobs 1\n"
        "experiments/score_functions.py --add model.attention.score=my_scores.py:cosine",
    )
    _add_experiment(command)
    command.add_argument("--jobs", metavar="N", type=int, help="runs at a time, a core each (default: one a core)")
    command.add_argument("--list", action="store_true", help="print what is done and what is missing, and stop")
    _add_fresh(command, "runs that were made with other data, code, versions or settings than there are now")
    _add_wandb(command)
    command.set_defaults(resume="the same command makes what is missing, from the last checkpoints on")
    command.epilog += STATUSES.format(done="every run of the experiment is finished")


def _add_table(commands) -> None:
    command = _command(
        commands,
        "table",
        "table:table",
        "print an experiment's table, made from the records of its runs",
        "experiments/score_functions.py\n"
        "experiments/score_functions.py --format tex\n"
        "experiments/score_functions.py --add model.attention.score=my_scores.py:cosine\n"
        "experiments/score_functions.py --check",
    )
    _add_experiment(command)
    command.add_argument("--format", choices=("md", "tex", "csv"), help="of what is printed (default: md)")
    what = command.add_mutually_exclusive_group()
    what.add_argument("--save", action="store_true", help="write records and table to results/ beside the experiment")
    what.add_argument("--check", action="store_true", help="fail if the table in results/ is not that of its records")


def _add_figure(commands) -> None:
    command = _command(
        commands,
        "figure",
        "pictures:figure",
        "draw what every variant of an experiment looks at in the same test item",
        "experiments/score_functions.py\nexperiments/score_functions.py --item 3",
    )
    _add_experiment(command)
    command.add_argument("--item", metavar="N", type=int, default=0, help="which test item, from 0 (default: 0)")


def _add_translate(commands) -> None:
    command = _command(
        commands,
        "translate",
        "pictures:translate",
        "translate lines with a finished run",
        "runs/0123456789 --input lines.txt\n"
        "runs/0123456789 --beam 5 --length-penalty average < lines.txt\n"
        "runs/0123456789 --beam 5 --nbest < lines.txt\n"
        "runs/0123456789 --attention map.png --step 3 < line.txt",
    )
    command.add_argument("run", metavar="RUN", help="the directory of a finished run")
    command.add_argument("--input", metavar="FILE", help="a source a line (default: standard input)")
    command.add_argument("--trust", action="store_true", help="run the users' code that is kept in the run's directory")
    default_note = "(default: what the run's config says)"
    command.add_argument(
        "--beam", metavar="K", type=int, help=f"hypotheses side by side; 1: greedy search {default_note}"
    )
    command.add_argument(
        "--length-penalty",
        metavar="SPEC",
        help=f"what ranks outputs of different length: none, average or wu {default_note}",
    )
    command.add_argument(
        "--nbest", action="store_true", help="print the K best outputs a line, as line number, score and output (tabs)"
    )
    command.add_argument("--attention", metavar="OUT.png", help="draw what the first line's output looks at")
    command.add_argument("--step", metavar="K", type=int, help="with bars for this output step, from 0")
    command.set_defaults(only_prints=True)


def _add_scores(commands) -> None:
    command = _command(
        commands,
        "scores",
        "scores:scores",
        "print every variant with its equation, source, parameters and cost",
        "\n'concat(units=64)'\nconcat --plot\nmy_scores.py:cosine --plot cosine.png",
    )
    command.add_argument("variant", metavar="NAME", nargs="?", help="one variant only, or a score of your own")
    help_text = "draw what it looks at with its first parameters (default: weights.png)"
    command.add_argument("--plot", metavar="OUT.png", nargs="?", const="weights.png", help=help_text)


def _add_check(commands) -> None:
    command = _command(
        commands,
        "check",
        "check:check",
        "try the laws of attention on a score, normalizer or window of your own",
        "my_scores.py:cosine\n"
        "'my_scores.py:cosine(temperature=5.0)' --window my_windows.py:near\n"
        "general --normalizer my_normalizers.py:sharp",
    )
    command.add_argument("score", metavar="FILE:NAME", help="a score of yours, or the name of a built-in one")
    command.add_argument("--normalizer", metavar="NAME", help="from its scores to weights (default: softmax)")
    command.add_argument("--window", metavar="NAME", help="where a step may look (default: everywhere)")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line as values; `key=value` may stand before and after options."""
    parser = make_parser()
    arguments, rest = parser.parse_known_args(argv)
    unknown = [argument for argument in rest if argument.startswith("-") or "changes" not in arguments]
    if unknown:
        parser.error(f"unknown argument {unknown[0]!r}")
    if rest:
        arguments.changes += rest
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; 0: done, 1: something failed, 2: the user's error, 128 and a signal's number: stopped by it.

    Called without `argv` it is the whole process: it listens to signals and does not return.
    """
    if argv is None:
        streams.prepare()
    with streams.guard_streams() as output:
        arguments = parse(argv)
        if argv is not None:
            return _run_command(arguments, output, never_stop)
        if arguments.computes:
            restart_process()
        with StopRequest(functools.partial(exit_immediately, resume=arguments.resume)).listen() as stop:
            exit_process(_run_command(arguments, output, stop))


def _run_command(arguments: argparse.Namespace, output: streams.Stream, stop: Callable[[], bool]) -> int:
    """Runs the command of a command line, which asks `stop` now and then; returns the status of the process."""
    arguments.stop = stop
    output.stops = arguments.only_prints and not arguments.attention
    status = _run_body(arguments)
    with contextlib.suppress(streams.OutputClosedError):
        sys.stdout.flush()
    if output.error is None or isinstance(output.error, BrokenPipeError):
        return status
    print_error(f"standard output: {output.error.strerror}")
    return status if arguments.resume else status or 1


def _run_body(arguments: argparse.Namespace) -> int:
    module, _, function = arguments.body.partition(":")
    try:
        with warnings_to(print_error):
            return getattr(importlib.import_module(f"attn_research.commands.{module}"), function)(arguments)
    except UserError as error:
        print_error(str(error))
        return 2
    except streams.OutputClosedError:
        return 0
    except StopRequested:
        return report_stop(arguments.stop.number, arguments.resume)
    except KeyboardInterrupt:
        return report_stop(signal.SIGINT, arguments.resume)
    except Exception as error:
        if isinstance(error, OSError) and error.filename:
            print_error(describe(error))
            return 2
        print_error(f"{describe(error)} (the traceback is in {write_traceback()})")
        return 2 if user_line(error) else 1
