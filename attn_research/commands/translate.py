"""`attn-research translate`: the outputs of a finished run for lines of text."""

import argparse
import gzip
import math
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice, zip_longest
from typing import Any, NamedTuple, TypeVar

from attn_research.commands.arguments import add_command
from attn_research.commands.console import print_error
from attn_research.errors import UserError

BATCH = 512  # lines translated together, unless they are typed
MAX_LISTED = 5  # unknown symbols that a message names
PENALTIES = ("length_penalty", "coverage_penalty")  # fields of `decode` that change the score of an output
SEARCH = ("beam", *PENALTIES, "min_length", "max_length", "no_repeat_ngram_size", "sampling")  # fields that options set
EMPTY = "is empty"
Item = TypeVar("Item")
EXAMPLES = """\
runs/0123456789 --input lines.txt
runs/0123456789 --beam 5 --length-penalty average < lines.txt
runs/0123456789 --beam 5 --nbest < lines.txt
runs/0123456789 --no-repeat-ngram-size 3 --max-length 80 < lines.txt
runs/0123456789 --sampling "sample(top_k=10, seed=1)" --samples 5 < lines.txt
runs/0123456789 runs/1123456789 --beam 5 < lines.txt
runs/0123456789 --input lines.txt --replace-unknown dictionary.tsv
runs/0123456789 --attention map.png --step 3 < line.txt
runs/0123456789 --input lines.txt --force targets.txt"""


def add_parser(commands: Any) -> None:
    """Adds the command to the parser."""
    command = add_command(commands, "translate", translate, "translate lines of text with a finished run", EXAMPLES)
    command.add_argument(
        "runs",
        metavar="RUN",
        nargs="+",
        help="the directory of a finished run; several with the same vocabularies form an ensemble, which averages "
        "their probabilities and searches as the config of the first one says",
    )
    command.add_argument("--input", metavar="FILE", help="one source per line (default: standard input)")
    command.add_argument(
        "--trust", action="store_true", help="allow the code of users that is stored in the run's directory to run"
    )
    command.add_argument(
        "--average",
        metavar="KIND:N",
        help="average the parameters of the N newest checkpoints, as in last:5 or best:5, of a run with train.keep=5 "
        "or more (default: the best checkpoint alone)",
    )
    default = "(default: as in the run's config)"
    command.add_argument("--beam", metavar="K", type=int, help=f"beam size; 1: greedy search {default}")
    command.add_argument(
        "--length-penalty",
        metavar="SPEC",
        help=f"ranks outputs of different lengths: none, average or wu {default}",
    )
    command.add_argument(
        "--coverage-penalty",
        metavar="BETA",
        type=float,
        help=f"ranks outputs that attend to the whole source higher; 0: off {default}",
    )
    command.add_argument(
        "--min-length", metavar="N", type=int, help=f"symbols of an output before its end, at least {default}"
    )
    command.add_argument(
        "--max-length", metavar="N", type=int, help=f"symbols of an output with its end symbol, at most {default}"
    )
    command.add_argument(
        "--no-repeat-ngram-size",
        metavar="N",
        type=int,
        help=f"an output has no N symbols in a row twice; 0: off {default}",
    )
    command.add_argument(
        "--nbest", action="store_true", help="print the K best outputs: line number, score and output, with tabs"
    )
    command.add_argument(
        "--force",
        metavar="TARGETS",
        help="one target per line: print the score of every target instead of an output, in nats, with EOS",
    )
    command.add_argument(
        "--sampling", metavar="SPEC", help=f"draws every symbol at random, as in sample(temperature=0.8) {default}"
    )
    command.add_argument(
        "--samples", metavar="N", type=int, help="with --sampling: print N samples of every line, as --nbest does"
    )
    command.add_argument(
        "--replace-unknown",
        metavar="DICTIONARY.tsv",
        nargs="?",
        const="",
        help="write the source word with the largest attention weight for every unknown symbol, or its translation in "
        "the dictionary: word, tab, translation",
    )
    command.add_argument("--attention", metavar="OUT.png", help="draw the attention weights of the first line")
    command.add_argument("--step", metavar="K", type=int, help="with --attention: bars for output step K, from 0")
    command.set_defaults(only_prints=True)


def translate(arguments: argparse.Namespace) -> int:
    """Prints an output line, or the n best, for every input line, and draws the attention weights of the first.

    Returns 1 if a line is empty, too long or not UTF-8, and its output empty, or if a line has no possible output.
    """
    if arguments.step is not None and arguments.attention is None:
        raise UserError("--step chooses the bars of a picture, so it needs --attention OUT.png")
    from attn_research.translator import load

    if arguments.force is not None:
        _check_forced(arguments)
    translator = load(arguments.runs, _search_changes(arguments), arguments.trust, arguments.average)
    _check_lists(arguments, translator.config.decode)
    dictionary = _dictionary(arguments.replace_unknown, translator)
    first, report = None, LineReport(arguments.input, translator.unknown)
    for translations in _all_translations(translator, report, arguments, dictionary):
        if first is None and translations:
            first = translations[0][0]
    report.print_unknown()
    if first is not None and arguments.attention is not None:
        _draw(first, arguments.step, arguments.attention)
    return 1 if report.failed else 0


def _check_lists(arguments: argparse.Namespace, decode: Any) -> None:
    """Rejects --nbest and --samples if there is one output per line."""
    if arguments.samples is not None and decode.sampling is None:
        raise UserError("--samples prints samples, so it needs --sampling, as in --sampling sample")
    if arguments.nbest and decode.sampling is not None:
        raise UserError("--nbest lists the hypotheses of a beam, and sampling has none; use --samples N")
    if arguments.nbest and decode.beam == 1:
        raise UserError("--nbest lists the hypotheses of a beam, and greedy search has one; it needs --beam 2 or more")


def _check_forced(arguments: argparse.Namespace) -> None:
    """Rejects options of the search, which have no effect on the score of a target."""
    if arguments.nbest:
        raise UserError("--nbest has no effect with --force, which prints one score per target")
    for name in ("samples", "replace_unknown"):
        if getattr(arguments, name) is not None:
            raise UserError(f"--{name.replace('_', '-')} has no effect with --force, which prints one score per target")
    is_set = {name: getattr(arguments, name) is not None for name in SEARCH}
    for name in SEARCH:
        if is_set[name] and not (name in PENALTIES or (name == "beam" and any(map(is_set.get, PENALTIES)))):
            rest = " without a penalty" if name == "beam" else ""
            raise UserError(f"--{name.replace('_', '-')} has no effect with --force{rest}, which scores given targets")


def _dictionary(path: str | None, translator: Any) -> Mapping[str, str] | None:
    """Returns the dictionary of --replace-unknown, which may be empty; None without the option."""
    if path is None:
        return None
    from pathlib import Path

    from attn_research.data import files
    from attn_research.decoding.unknown import read_dictionary

    translator.require_attention()
    return read_dictionary(files.read_lines(Path(path)), path) if path else {}


def _all_translations(
    translator: Any, report: "LineReport", arguments: argparse.Namespace, dictionary: Mapping[str, str] | None
) -> Iterator[list[list]]:
    """Prints the outputs or scores of all lines; yields the translations of a few lines at a time."""
    interactive = arguments.input is None and sys.stdin.isatty()
    size = 1 if interactive else BATCH
    with open_input(arguments.input) as stream:
        if arguments.force is None:
            for lines in batches(read_lines(stream), size):
                yield _translate(translator, lines, report, arguments, dictionary)
            return
        with open_input(arguments.force) as targets:
            pairs = _pairs(read_lines(stream), read_lines(targets), report.name, arguments.force)
            target_report = LineReport(arguments.force, translator.unknown_target)
            for some in batches(pairs, size):
                yield _score(translator, some, report, target_report)
        target_report.print_unknown()


def _search_changes(arguments: argparse.Namespace) -> dict[str, Any]:
    """Returns the changes that the command line makes to the run's config."""
    options = {f"decode.{name}": getattr(arguments, name) for name in SEARCH}
    return {name: value for name, value in options.items() if value is not None}


class Line(NamedTuple):
    """One line of the input; `flaw` says why it cannot be translated and is empty otherwise."""

    number: int
    text: str
    flaw: str = ""


@contextmanager
def open_input(path: str | None) -> Iterator[Iterable[bytes]]:
    """Opens a file, plain or as .gz, or standard input; yields its raw lines.

    Raises:
      UserError: the archive is damaged.
    """
    from attn_research.data.files import open_stream

    with open_stream(path) if path else open(0, "rb", closefd=False) as stream:
        try:
            yield stream
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise UserError(f"cannot read {path}: {error}") from error


def read_lines(stream: Iterable[bytes]) -> Iterator[Line]:
    """Yields the lines, decoded as in training."""
    from attn_research.data.files import decode_lines

    for number, line in enumerate(decode_lines(stream), 1):
        if isinstance(line, UnicodeDecodeError):
            yield Line(number, "", f"is not UTF-8: {line.reason} at byte {line.start}")
        else:
            yield Line(number, line, "" if line.strip() else EMPTY)


def _pairs(
    sources: Iterator[Line], targets: Iterator[Line], source_name: str, target_name: str
) -> Iterator[tuple[Line, Line]]:
    """Yields the pairs of lines of the same number. An empty target is valid.

    Raises:
      UserError: one file has more lines than the other.
    """
    for source, target in zip_longest(sources, targets):
        if source is None or target is None:
            shorter, longer = (source_name, target_name) if source is None else (target_name, source_name)
            line = source or target
            raise UserError(f"{shorter} has {line.number - 1} lines, but {longer} has more; --force needs pairs")
        yield source, target


def batches(lines: Iterator[Item], size: int) -> Iterator[list[Item]]:
    """Yields the lines, or pairs of lines, in lists of at most `size`."""
    return iter(lambda: list(islice(lines, size)), [])


class LineReport:
    """Reports lines without an output, and symbols that are not in the run's vocabulary."""

    def __init__(self, path: str | None, unknown: Callable[[str], list[str]]):
        self.name, self._unknown_in = path or "standard input", unknown
        self.failed = 0  # lines without an output
        self._unknown = 0
        self._first_unknown: dict[str, int] = {}  # with the number of their lines

    def fail(self, line: Line, result: str = "output") -> None:
        """Prints why a line has no output, or no other result."""
        self.failed += 1
        print_error(f"{self.name}:{line.number} {line.flaw}, so its {result} is empty")

    def report_impossible(self, line: Line) -> None:
        """Prints that the model and the limits of the search leave no output for a line."""
        self.failed += 1
        print_error(f"{self.name}:{line.number} has no output that the model and the limits of the search allow")

    def count_unknown(self, line: Line) -> None:
        """Counts the unknown symbols of a line."""
        for text in self._unknown_in(line.text):
            self._unknown += 1
            if len(self._first_unknown) < MAX_LISTED:
                self._first_unknown.setdefault(text, line.number)

    def print_unknown(self) -> None:
        """Prints the number of unknown symbols and the first of them, if there are any."""
        if self._unknown:
            listed = ", ".join(f"{text!r} (line {number})" for text, number in self._first_unknown.items())
            total = "1 symbol is" if self._unknown == 1 else f"{self._unknown:,} symbols are"
            print_error(f"{self.name}: {total} not in the run's vocabulary and read as unknown; the first: {listed}")


def _translate(
    translator: Any,
    lines: list[Line],
    report: LineReport,
    arguments: argparse.Namespace,
    dictionary: Mapping[str, str] | None,
) -> list[list]:
    """Prints the outputs of some lines in their order; returns the translations of the lines that have an output.

    With a dictionary, unknown symbols are replaced.
    """
    lines = [line if line.flaw else line._replace(flaw=translator.flaw(translator.split(line.text))) for line in lines]
    valid, samples = [line for line in lines if not line.flaw], arguments.samples
    numbers = [line.number for line in valid]
    translations = translator.n_best([line.text for line in valid], 1 if samples is None else samples, numbers)
    if dictionary is not None:
        translations = [
            [one._replace(output=translator.replace_unknown(one, line.text, dictionary)) for one in n_best]
            for line, n_best in zip(valid, translations, strict=True)
        ]
    outputs, numbered = iter(translations), arguments.nbest or samples is not None
    for line in lines:
        if line.flaw:
            report.fail(line)
            print(f"{line.number}\t\t" if numbered else "", flush=True)
        else:
            report.count_unknown(line)
            n_best = next(outputs)
            if all(one.log_probability == -math.inf for one in n_best):
                report.report_impossible(line)
            _print_outputs(n_best, translator.join, line.number if numbered else None, distinct=arguments.nbest)
    return translations


def _score(
    translator: Any, pairs: list[tuple[Line, Line]], report: LineReport, target_report: LineReport
) -> list[list]:
    """Prints the scores of some targets in their order; returns the translations of the lines that have a score."""
    pairs = [(_with_flaw(source, target, translator), target) for source, target in pairs]
    valid = [(source.text, target.text) for source, target in pairs if not source.flaw]
    translations = translator.score(*map(list, zip(*valid, strict=True))) if valid else []
    scores = iter(translations)
    for source, target in pairs:
        if source.flaw:
            report.fail(source, "score")
            print(flush=True)
        else:
            report.count_unknown(source)
            target_report.count_unknown(target)
            print(f"{next(scores).score:.4f}", flush=True)
    return [[one] for one in translations]


def _with_flaw(source: Line, target: Line, translator: Any) -> Line:
    """Returns the source line with the reason why the pair has no score, if there is one."""
    if source.flaw:
        return source
    if target.flaw != EMPTY and target.flaw:
        return source._replace(flaw=f"has a target that {target.flaw}")
    flaw = translator.pair_flaw(translator.split(source.text), translator.split_target(target.text))
    return source._replace(flaw=flaw)


def _print_outputs(n_best: list, join: Callable, number: int | None, distinct: bool) -> None:
    """Prints the best output; with a line number, all of them with their scores. `distinct` drops repeated texts."""
    if number is None:
        print(join(n_best[0].output), flush=True)
        return
    best = {join(one.output): one for one in reversed(n_best)}  # several segmentations may give the same text
    for one in n_best:
        if one is best[text := join(one.output)] or not distinct:
            print(number, f"{one.score:.4f}", text, sep="\t", flush=True)


def _draw(translation: Any, step: int | None, path: str) -> None:
    from attn_research.reports.figures import attention_maps, bars
    from attn_research.reports.items import Item

    item = Item(translation.source, translation.output, translation.weights)
    paths = attention_maps({"": item}, path) if step is None else bars(item, step, path)
    print(*paths, file=sys.stderr)
