"""How the measuring goes: a bar on a terminal, plain lines elsewhere."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextlib.contextmanager
def progress_display(total: int) -> Iterator[Callable[[str], None]]:
    """Gives a function that tells which of `total` rows begins."""
    if sys.stdout.isatty():
        with _bar(total) as report:
            yield report
        return
    start, rows = time.monotonic(), iter(range(1, total + 1))

    def report(row: str) -> None:
        print(f"[{next(rows)}/{total}] {time.monotonic() - start:.0f} s: {row}", flush=True)

    yield report


@contextlib.contextmanager
def _bar(total: int) -> Iterator[Callable[[str], None]]:
    """It is drawn once a second, since drawing is work that would be seen as a busy machine."""
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=Console(), transient=True, refresh_per_second=1) as progress:
        bar, numbers = progress.add_task("starting", total=total), iter(range(total))
        yield lambda row: progress.update(bar, completed=next(numbers), description=row)
