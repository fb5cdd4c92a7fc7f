"""The progress of a sweep: bars on a terminal, lines elsewhere."""

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from attn_research.config import Config
from attn_research.sweeps.local import Event


class TimeEstimate:
    """The remaining time of a sweep, from the average speed so far."""

    def __init__(self, configs: list[Config]):
        self.total = sum(config.train.steps for config in configs)
        self.first: dict[Config, int] = {}  # the first step of each run in this sweep
        self.last: dict[Config, int] = {}
        self.started = time.monotonic()

    def update(self, config: Config, step: int) -> None:
        self.first.setdefault(config, step)
        self.last[config] = step

    def remove(self, config: Config) -> None:
        """Removes a run that will not be executed."""
        self.total -= config.train.steps
        self.first.pop(config, None)
        self.last.pop(config, None)

    def format_remaining(self) -> str:
        """Returns the remaining time, as in `; about 3 min left`; empty before the first step."""
        steps_done = sum(self.last.values()) - sum(self.first.values())
        steps_left = self.total - sum(self.last.values())
        if steps_done <= 0 or steps_left <= 0:
            return ""
        return f"; about {format_duration((time.monotonic() - self.started) * steps_left / steps_done)} left"


def format_duration(seconds: float) -> str:
    """Returns a duration as `19 s`, `3 min` or `2.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


class LineDisplay:
    """Prints a line at the start and at the end of every run."""

    def __init__(self, names: Mapping[Config, str], configs: list[Config], outcome: Callable[[Event], str]):
        self.names, self.configs, self.outcome = names, configs, outcome
        self.estimate, self.finished = TimeEstimate(configs), 0

    def __enter__(self) -> "LineDisplay":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def handle(self, event: Event) -> None:
        """Displays an event."""
        getattr(self, event.kind if event.kind in ("started", "report") else "end")(event)

    def started(self, event: Event) -> None:
        self.print_line(f"{self.names[event.config]}: started")

    def report(self, event: Event) -> None:
        self.estimate.update(event.config, event.numbers["step"])

    def end(self, event: Event) -> None:
        self.finished += 1
        if event.kind == "ended":
            self.estimate.update(event.config, event.config.train.steps)
        else:
            self.estimate.remove(event.config)
        name, outcome = self.names[event.config], self.outcome(event)
        count = f"[{self.finished}/{len(self.configs)}]"
        self.print_line(f"{count} {name}: {outcome}{self.estimate.format_remaining()}")

    def print_line(self, text: str) -> None:
        print(text, flush=True)


class BarDisplay(LineDisplay):
    """Shows a bar for every running run and one for the sweep, below a line for every ended run."""

    def __init__(self, names: Mapping[Config, str], configs: list[Config], outcome: Callable[[Event], str]):
        super().__init__(names, configs, outcome)
        self.progress = training_progress()
        self.total_bar = self.progress.add_task("all runs", total=self.estimate.total, note="")
        self.bars: dict[Config, Any] = {}

    def __enter__(self) -> "BarDisplay":
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def started(self, event: Event) -> None:
        name, steps = self.names[event.config], event.config.train.steps
        self.bars[event.config] = self.progress.add_task(name, total=steps, note="starting")

    def report(self, event: Event) -> None:
        super().report(event)
        update_bar(self.progress, self.bars[event.config], event.numbers)
        self._update_total()

    def end(self, event: Event) -> None:
        super().end(event)
        if event.config in self.bars:  # False if its process could not start
            self.progress.remove_task(self.bars.pop(event.config))
        self._update_total()

    def print_line(self, text: str) -> None:
        self.progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _update_total(self) -> None:
        note = f"{self.finished}/{len(self.configs)} runs{self.estimate.format_remaining()}"
        steps_done = sum(self.estimate.last.values())
        self.progress.update(self.total_bar, completed=steps_done, total=self.estimate.total, note=note)


class Rate(ProgressColumn):
    """Steps per second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.0f} steps/s" if task.speed else "")


def training_progress() -> Progress:
    """Returns progress bars with step, rate and a note."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), Rate())
    note = TextColumn("{task.fields[note]}", markup=False)
    return Progress(*columns, note, console=Console(file=sys.stdout), transient=True)


def update_bar(progress: Progress, bar: Any, numbers: Mapping[str, Any]) -> None:
    """Updates the bar of a run from its report."""
    progress.update(bar, completed=numbers["step"], total=numbers["steps"])
    if "loss" in numbers:
        progress.update(bar, note=f"loss {numbers['loss']:.3f}")
