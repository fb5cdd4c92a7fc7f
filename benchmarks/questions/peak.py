"""Which share of the machine's best matrix product does a training step reach?"""

from collections.abc import Mapping
from typing import Any

from benchmarks.question import OURS, Question, SideSpec
from benchmarks.questions import step
from benchmarks.tables import NONE, Entry, entries, number, timing

PRODUCT = "product of size "
STEPS = ("W1", "W2-64", "W2-128")


def rows(full: bool) -> dict[str, dict[str, SideSpec]]:
    """Products, then steps."""
    return {f"{PRODUCT}{size}": _product(size) for size in ((1024, 2048, 4096) if full else (2048,))} | {
        f"{workload} dot": {OURS: step.ours(workload, "dot")} for workload in (STEPS if full else ("W2-64",))
    }


def _product(size: int) -> dict[str, SideSpec]:
    return {
        "XLA": SideSpec("benchmarks.matmul:xla", {"size": size}),
        "PyTorch": SideSpec("benchmarks.matmul:pytorch", {"size": size}, needs="torch"),
    }


def rate(entry: Entry) -> float | None:
    """GFLOP a second."""
    return entry.median and entry.facts["flops"] / entry.median / 1e9


def peak(record: Mapping[str, Any]) -> tuple[float, str] | None:
    """The highest rate of a product, and whose it is."""
    products = [entry for entry in entries(record) if entry.row.startswith(PRODUCT) and entry.seconds]
    return max(((rate(entry), f"{entry.row}, {entry.side}") for entry in products), default=None)


def share(entry: Entry, record: Mapping[str, Any]) -> str:
    """Percent of the peak."""
    best, own = peak(record), rate(entry)
    return f"{100 * own / best[0]:.0f}" if best and own else NONE


def per_symbol(entry: Entry, record: Mapping[str, Any]) -> str:
    """MFLOP a target symbol."""
    return number(entry.facts["flops"] / entry.facts["symbols"] / 1e6) if "symbols" in entry.facts else NONE


def table(record: Mapping[str, Any]) -> str:
    """Operations, rates and shares."""
    best = peak(record)
    peak_text = f"the peak is {number(best[0])} GFLOP/s ({best[1]})" if best else "no product could be measured"
    columns = {
        "GFLOP": lambda entry, _: number(entry.facts["flops"] / 1e9),
        "GFLOP/s": lambda entry, _: number(rate(entry)),
        "% of the peak": share,
        "MFLOP a target symbol": per_symbol,
    }
    return timing(record, f"Operations a second of a training step; {peak_text}", columns)


question = Question(rows, table)
