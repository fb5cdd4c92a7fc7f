"""Numbers as the commands say them."""

from collections.abc import Mapping
from typing import Any

from attn_research.metrics import METRICS


def measured(metrics: Mapping[str, float | None]) -> str:
    """`exact 98.1, loss 0.113`: shares in percent; a number that was not finite is a dash."""
    return ", ".join(f"{name} {_number(name, value)}" for name, value in metrics.items() if name in METRICS)


def _number(name: str, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{100 * value:.1f}" if METRICS[name].percent else f"{value:.4g}"


def outcome(record: Mapping[str, Any]) -> str:
    """How a run ended, in a few words: the metric it was selected by (exact match, if by the loss), and its time."""
    from attn_research.sweeps.progress import in_words

    if record["status"] != "finished":
        return f"{record['status']}: {record['failure']}"
    select = record["config"]["train.select"]
    shown = "exact" if select == "loss" else select
    text = measured({shown: record["splits"]["test"]["metrics"][shown]})
    return f"{text}, {in_words(record['seconds']['total'])}"
