"""What commands print: errors, Markdown, metrics, and how runs ended."""

import math
import sys
from collections.abc import Iterable, Mapping
from typing import Any


def print_error(text: str) -> None:
    """Prints one line to standard error."""
    print(f"attn-research: {' '.join(text.split())}", file=sys.stderr)


def print_markdown(text: str) -> None:
    """Prints Markdown: rendered on a terminal, as source elsewhere."""
    if not sys.stdout.isatty():
        print(text, end="")
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console().print(Markdown(text))


def format_metrics(metrics: Mapping[str, float | None]) -> str:
    """Returns `exact 98.1, loss 0.113`: rates in percent, and a dash for NaN and infinity."""
    from attn_research.metrics import METRICS

    return ", ".join(
        f"{name} {_format_number(metrics[name], METRICS[name].percent)}" for name in METRICS if name in metrics
    )


def _format_number(value: float | None, percent: bool) -> str:
    if value is None or math.isnan(value):
        return "–"
    return f"{100 * value:.1f}" if percent else f"{value:.4g}"


def diverged(record: Mapping[str, Any]) -> bool:
    """Whether the run ended because its loss became NaN or infinite."""
    return record["status"] != "finished"


def report_diverged(outcomes: Iterable[str]) -> int:
    """Prints how many of an experiment's runs diverged; returns the exit status, 1 if one did.

    Args:
      outcomes: `status` of the record of each finished run.
    """
    outcomes = list(outcomes)
    count = len(outcomes) - outcomes.count("finished")
    if count:
        print_error(
            f"{count} of {len(outcomes)} finished runs diverged; tables list them without numbers, and a sweep does "
            "not train them again"
        )
    return 1 if count else 0


def format_outcome(record: Mapping[str, Any]) -> str:
    """Returns `exact 98.1, 19 s`: the test metric of `train.select` and the time; exact match if it selects by loss."""
    from attn_research.sweeps.progress import format_duration

    if diverged(record):
        return f"{record['status']}: {record['failure']}"
    select = record["config"]["train.select"]
    metric = "exact" if select == "loss" else select
    text = format_metrics({metric: record["splits"]["test"]["metrics"][metric]})
    return f"{text}, {format_duration(record['seconds']['total'])}"
