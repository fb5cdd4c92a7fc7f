"""Pages of the documentation that commands write from committed records, and check against them."""

import argparse
import difflib
import sys
from collections.abc import Callable
from pathlib import Path

from attn_research import storage
from attn_research.commands.arguments import Parser, add_runs
from attn_research.commands.console import print_error
from attn_research.config import run_file
from attn_research.errors import UserError
from attn_research.sweeps.expand import locate_errors

EXPERIMENTS = Path("experiments")


def experiments_with(name: str) -> list[Path]:
    """Returns the files in experiments/ that define `name` as something that is not empty."""
    return [path for path in sorted(EXPERIMENTS.glob("*.py")) if _defines(path, name)]


def _defines(path: Path, name: str) -> bool:
    with locate_errors(path):
        return bool(run_file(path).get(name))


def link(path: Path, text: str = "") -> str:
    """Returns a link from a page in docs/ to a file of the repository."""
    return f"[{text or path.as_posix()}](../{path.as_posix()})"


def add_page(command: Parser, page: Path, which: str) -> None:
    """Adds `EXPERIMENT ...`, of which the page has `which`, and --save, --check and --runs."""
    command.add_argument("experiments", metavar="EXPERIMENT", nargs="*", help=which)
    action = command.add_mutually_exclusive_group()
    action.add_argument("--save", action="store_true", help=f"write {page} from the committed records")
    action.add_argument(
        "--check", action="store_true", help=f"fail if {page} does not follow from the committed records"
    )
    add_runs(command)


def run_page(
    arguments: argparse.Namespace, page: Path, text: Callable[[], str], show: Callable[[list[Path], Path], None]
) -> int:
    """Saves or checks the page, or shows the sections of the experiments that are named.

    Args:
      text: returns that of the page.
      show: prints the sections of experiments, of all if none is named, with the runs in a directory.

    Returns:
      1 if the check fails.
    """
    if (arguments.save or arguments.check) and arguments.experiments:
        raise UserError("--save and --check take all experiments, so they allow no EXPERIMENT")
    if arguments.check:
        return check_page(page, text())
    if arguments.save:
        return save_page(page, text())
    show([Path(path) for path in arguments.experiments], Path(arguments.runs))
    return 0


def save_page(page: Path, text: str) -> int:
    """Writes the page."""
    storage.write(page, text)
    print(page)
    return 0


def check_page(page: Path, text: str) -> int:
    """Compares the page with `text`, and prints the difference. Returns 1 if there is one.

    Raises:
      UserError: there is no such page.
    """
    if not page.is_file():
        raise UserError(f"there is no {page}; --save writes it")
    old = page.read_text(encoding="utf-8")
    if old == text:
        return 0
    names = (str(page), "from the records")
    sys.stdout.writelines(difflib.unified_diff(old.splitlines(True), text.splitlines(True), *names))
    print_error(f"{page} does not follow from the committed records; --save writes it")
    return 1
