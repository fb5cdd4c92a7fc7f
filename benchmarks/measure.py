"""Measures one row: sets up its sides one after another, then times them in turn, in blocks of about a second."""

import contextlib
import importlib.util
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from attn_research.runs.clock import IDLE_BELOW, Clock
from benchmarks.questions import SideSpec
from benchmarks.server import Server

Block = Mapping[str, Any]  # seconds (per unit of work), units, others (cores that other processes used meanwhile)
ROUNDS = 3  # maximum number of rounds per required quiet block
WINDOW = 0.5  # seconds over which the load of the machine is measured


class MeasurementPlan(NamedTuple):
    """The amount of measuring. Records hold it under these names."""

    full: bool  # all rows, not only a quick selection
    repetitions: int  # at different times, each with new processes
    blocks: int  # quiet blocks that a repetition needs
    seconds: float  # length of a block
    waiting: float  # longest wait for an idle machine before each row, in seconds


def quiet(blocks: Sequence[Block]) -> list[float]:
    """Returns the seconds per unit of the quiet blocks, in which no other process used the CPU."""
    return [block["seconds"] for block in blocks if block["others"] < IDLE_BELOW]


def median(blocks: Sequence[Block], needed: int) -> float | None:
    """Returns the median of the quiet blocks, or None for fewer than `needed`."""
    seconds = quiet(blocks)
    return statistics.median(seconds) if seconds and len(seconds) >= needed else None


def wait_until_idle(limit: float) -> None:
    """Sleeps until no other process uses the CPU, for at most `limit` seconds."""
    start = time.perf_counter()
    while time.perf_counter() - start < limit:
        clock = Clock("wait")
        time.sleep(WINDOW)
        if clock.idle:
            return


def skipped_sides(specs: Mapping[str, SideSpec]) -> list[str]:
    """Returns the sides that need a package that is not installed."""
    return [side for side, spec in specs.items() if spec.needs and not importlib.util.find_spec(spec.needs)]


def measure(
    name: str, specs: Mapping[str, SideSpec], plan: MeasurementPlan, directory: Path, environment: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Measures one repetition of a row.

    Args:
      name: the question and the row, for error messages.
      directory: where the sides exchange arrays.
      environment: additional environment variables of all sides.

    Returns:
      `{side: {"facts": ..., "blocks": [...]}}`.

    Raises:
      ValueError: a side cannot be set up, or computes another function than the first one.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        servers = {}
        for side in [side for side in specs if side not in skipped_sides(specs)]:
            server = Server(f"{name}, {side}", specs[side], directory, environment)
            servers[side] = stack.enter_context(server)
        blocks = measure_in_turn({side: server for side, server in servers.items() if server.timed}, plan)
        return {side: {"facts": server.facts, "blocks": blocks.get(side, [])} for side, server in servers.items()}


def measure_in_turn(servers: Mapping[str, Server], plan: MeasurementPlan) -> dict[str, list[Block]]:
    """Times all sides in turn until each has enough quiet blocks, for at most `ROUNDS * plan.blocks` rounds."""
    blocks: dict[str, list[Block]] = {side: [] for side in servers}
    if servers:
        wait_until_idle(plan.waiting)
    for _ in range(ROUNDS * plan.blocks):
        if all(len(quiet(side_blocks)) >= plan.blocks for side_blocks in blocks.values()):
            break
        for side, server in servers.items():
            blocks[side].append(server.block(plan.seconds))
    return blocks
