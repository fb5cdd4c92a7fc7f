"""`attn-research import`: the run of a checkpoint of another system."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from attn_research.commands.arguments import add_command, add_runs
from attn_research.commands.console import format_metrics
from attn_research.config import digest, parse_changes
from attn_research.errors import UserError

VOCABULARIES = "--source-vocabulary src.txt --target-vocabulary tgt.txt"
EXAMPLES = f"""\
opennmt model.npz {VOCABULARIES}
opennmt model.npz {VOCABULARIES} --option context_gate=both
joeynmt model.npz {VOCABULARIES} data.task='tokenized(path="iwslt14")'
fairseq model.safetensors --source-vocabulary dict.de.txt --target-vocabulary dict.en.txt decode.beam=5"""
NOTES = """
docs/import.md has the lines of Python that export a checkpoint of each system,
and says what can be imported. Models are read from their parameters: cell,
layers, sizes, attention, bridge, input feeding. Pickles are never read.

With data.task='tokenized(path="FOLDER", source="de", target="en")' the run is
evaluated on dev.de, dev.en, test.de and test.en in the folder (train.de and
train.en too must be there), and gets a record for tables and figures. The lines
must be segmented as the system's own. joiner="subword-nmt" or "sentencepiece"
joins subwords in outputs. Without data the run has no record, but translates.

exit status:
  0    the run is written, or was imported before
  2    a file or an argument is wrong; nothing was written
  130  stopped by Ctrl-C (143: by SIGTERM, 129: by SIGHUP)
"""


def add_parser(commands: Any) -> None:
    """Adds the command to the parser."""
    command = add_command(
        commands,
        "import",
        import_checkpoint,
        "import a recurrent model of OpenNMT-py, Joey NMT or fairseq as a run",
        EXAMPLES,
        notes=NOTES,
        resume="the same command imports the checkpoint again",
        trains=True,
    )
    command.add_argument("system", metavar="SYSTEM", help="opennmt, joeynmt or fairseq")
    command.add_argument(
        "checkpoint", metavar="CHECKPOINT", help="a .npz or .safetensors file with the system's parameter names"
    )
    for side in ("source", "target"):
        command.add_argument(
            f"--{side}-vocabulary", metavar="FILE", required=True, help=f"the {side} symbols, one a line, as exported"
        )
    command.add_argument(
        "--option",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="a hyperparameter that the parameters do not show: context_gate or global_attention_function of "
        "OpenNMT-py, init_hidden of Joey NMT",
    )
    command.add_argument(
        "changes", metavar="key=value", nargs="*", help="set a field of data or decode, as in decode.beam=5"
    )
    add_runs(command)
    help_text = "import again; the old directory is renamed to ID.replaced-DATE"
    command.add_argument("--fresh", action="store_true", help=help_text)


def import_checkpoint(arguments: argparse.Namespace) -> int:
    """Imports a checkpoint, or prints the metrics of its run if that exists."""
    from attn_research.importing.run import convert

    vocabularies = {side: Path(getattr(arguments, f"{side}_vocabulary")) for side in ("source", "target")}
    options, changes = _parse_options(arguments.option), parse_changes(arguments.changes)
    imported = convert(arguments.system, Path(arguments.checkpoint), vocabularies, options, changes)
    directory = Path(arguments.runs) / digest(imported.config)
    record = _write(imported, directory, arguments)
    for name, split in record["splits"].items() if record else ():
        print(f"{name}: {format_metrics(split['metrics'])}")
    if not record:
        print("There is no record for tables, since there is no data; add data.task='tokenized(path=\"FOLDER\")'.")
    print(f"run: {directory}")
    return 0


def _parse_options(words: Sequence[str]) -> dict[str, str]:
    pairs = [word.partition("=") for word in words]
    for word, (_, equals, _) in zip(words, pairs, strict=True):
        if not equals:
            raise UserError(f"--option is {word!r}, but must be NAME=VALUE, as in --option context_gate=both")
    return {name: value for name, _, value in pairs}


def _write(imported: Any, directory: Path, arguments: argparse.Namespace) -> Any:
    """Writes the run, unless it exists; returns its record, or None if there is no data."""
    from attn_research.importing.run import read_origin, write
    from attn_research.runs import records
    from attn_research.runs.compilation_cache import enable_compilation_cache
    from attn_research.sweeps.execute import lock_run
    from attn_research.training.checkpoint import Checkpoints
    from attn_research.training.run_status import set_aside

    with lock_run(directory), set_aside(directory) if arguments.fresh else nullcontext():
        before, record = read_origin(directory), records.read(directory)
        if before and _content(before) != _content(imported.origin):
            raise UserError(f"{directory} was imported with other vocabularies or options; --fresh imports it again")
        complete = Checkpoints(directory / "checkpoints").best_step() is not None
        if before and (record if imported.has_data else complete):
            print("This checkpoint is imported already.")
            return record
        enable_compilation_cache()
        with _progress(imported.has_data):
            return write(imported, directory, arguments.stop)


def _content(origin: dict[str, Any]) -> Any:
    """Returns what must be equal in two imports of one checkpoint, wherever its files are."""
    return [file["sha256"] for file in origin["vocabularies"].values()], origin["options"]


@contextmanager
def _progress(evaluates: bool) -> Iterator[None]:
    """Shows on a terminal that an evaluation is running."""
    if not (evaluates and sys.stdout.isatty()):
        yield
        return
    from rich.console import Console

    with Console().status("evaluating"):
        yield
