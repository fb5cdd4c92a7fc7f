"""`attn-research translate`: the outputs of a finished run for lines of text."""

import argparse
import math
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from attn_research.commands.arguments import add_command
from attn_research.commands.decode_options import PENALTIES, SEARCH, add_decoding, read_dictionary, search_changes
from attn_research.commands.input_lines import EMPTY, Line, LineReport, batches, open_input, pair_lines, read_lines
from attn_research.errors import UserError

BATCH = 512  # lines translated together, unless they are typed
Replace = Callable[[Any, str], list[str]]  # (Translation, line) -> output without unknown symbols
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
    add_decoding(command)
    command.add_argument("--input", metavar="FILE", help="one source per line (default: standard input)")
    command.add_argument(
        "--nbest", action="store_true", help="print the K best outputs: line number, score and output, with tabs"
    )
    command.add_argument(
        "--force",
        metavar="TARGETS",
        help="one target per line: print the score of every target instead of an output, in nats, with EOS",
    )
    command.add_argument(
        "--samples", metavar="N", type=int, help="with --sampling: print N samples of every line, as --nbest does"
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
    translator = load(arguments.runs, search_changes(arguments), arguments.trust, arguments.average)
    _check_lists(arguments, translator.config.decode)
    replace = _replacement(arguments, translator)
    first, report = None, LineReport(arguments.input, translator.unknown)
    for translations in _all_translations(translator, report, arguments, replace):
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
    for name in ("samples", "replace_unknown", "unknown_step"):
        if getattr(arguments, name) is not None:
            raise UserError(f"--{name.replace('_', '-')} has no effect with --force, which prints one score per target")
    is_set = {name: getattr(arguments, name) is not None for name in SEARCH}
    for name in SEARCH:
        if is_set[name] and not (name in PENALTIES or (name == "beam" and any(map(is_set.get, PENALTIES)))):
            rest = " without a penalty" if name == "beam" else ""
            raise UserError(f"--{name.replace('_', '-')} has no effect with --force{rest}, which scores given targets")


def _replacement(arguments: argparse.Namespace, translator: Any) -> Replace | None:
    """Returns what --replace-unknown does; None without the option."""
    dictionary = read_dictionary(arguments)
    if dictionary is None:
        return None
    translator.require_attention()
    return partial(translator.replace_unknown, dictionary=dictionary, step=arguments.unknown_step or "predicting")


def _all_translations(
    translator: Any, report: LineReport, arguments: argparse.Namespace, replace: Replace | None
) -> Iterator[list[list]]:
    """Prints the outputs or scores of all lines; yields the translations of a few lines at a time."""
    interactive = arguments.input is None and sys.stdin.isatty()
    size = 1 if interactive else BATCH
    with open_input(arguments.input) as stream:
        if arguments.force is None:
            for lines in batches(read_lines(stream), size):
                yield _translate(translator, lines, report, arguments, replace)
            return
        with open_input(arguments.force) as targets:
            pairs = pair_lines(read_lines(stream), read_lines(targets), report.name, arguments.force)
            target_report = LineReport(arguments.force, translator.unknown_target)
            for some in batches(pairs, size):
                yield _score(translator, some, report, target_report)
        target_report.print_unknown()


def _translate(
    translator: Any, lines: list[Line], report: LineReport, arguments: argparse.Namespace, replace: Replace | None
) -> list[list]:
    """Prints the outputs of some lines in their order; returns the translations of the lines that have an output.

    `replace` rewrites outputs with unknown symbols.
    """
    lines = [line if line.flaw else line._replace(flaw=translator.flaw(translator.split(line.text))) for line in lines]
    valid, samples = [line for line in lines if not line.flaw], arguments.samples
    numbers = [line.number for line in valid]
    translations = translator.n_best([line.text for line in valid], 1 if samples is None else samples, numbers)
    if replace is not None:
        translations = [
            [one._replace(output=replace(one, line.text)) for one in n_best]
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
