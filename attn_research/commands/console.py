"""How the commands say numbers and complaints."""

import math
import sys
from collections.abc import Collection, Mapping
from typing import Any


def print_error(text: str) -> None:
    """One line on standard error."""
    print(f"attn-research: {' '.join(text.split())}", file=sys.stderr)


def print_markdown(text: str) -> None:
    """As it is; drawn, on a terminal."""
    if not sys.stdout.isatty():
        print(text, end="")
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console().print(Markdown(text))


def format_metrics(metrics: Mapping[str, float | None]) -> str:
    """`exact 98.1, loss 0.113`: shares in percent; a number that was not finite is a dash."""
    from attn_research.metrics import METRICS

    return ", ".join(
        f"{name} {_format_number(metrics[name], METRICS[name].percent)}" for name in METRICS if name in metrics
    )


def _format_number(value: float | None, percent: bool) -> str:
    if value is None or math.isnan(value):
        return "–"
    return f"{100 * value:.1f}" if percent else f"{value:.4g}"


def diverged(record: Mapping[str, Any]) -> bool:
    """Whether the run is over without a result, since its loss was no finite number any more."""
    return record["status"] != "finished"


def report_diverged(records: Collection[Mapping[str, Any]]) -> int:
    """Complains if some of an experiment's records are of runs that diverged; the status to end with."""
    count = sum(map(diverged, records))
    if count:
        print_error(
            f"{count} of {len(records)} finished runs diverged; a table leaves them out, a sweep keeps them as they are"
        )
    return 1 if count else 0


def format_outcome(record: Mapping[str, Any]) -> str:
    """How a run ended, in a few words: the metric it was selected by (exact match, if by the loss), and its time."""
    from attn_research.sweeps.progress import format_duration

    if diverged(record):
        return f"{record['status']}: {record['failure']}"
    select = record["config"]["train.select"]
    metric = "exact" if select == "loss" else select
    text = format_metrics({metric: record["splits"]["test"]["metrics"][metric]})
    return f"{text}, {format_duration(record['seconds']['total'])}"
