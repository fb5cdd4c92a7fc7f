"""One row: its sides set up one after another, then measured in turn, in blocks that count only on an idle machine."""

import contextlib
import importlib.util
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from attn_research.runs.clock import IDLE_BELOW, Clock
from benchmarks.question import SideSpec
from benchmarks.server import Server

Block = Mapping[str, Any]  # seconds (a unit of work), units, others (cores in use by other processes meanwhile)
ROUNDS = 3  # rounds at most, for each quiet block that is wanted
WINDOW = 0.5  # seconds over which the machine is watched


class MeasurementPlan(NamedTuple):
    """How much is measured."""

    full: bool  # all rows
    repetitions: int  # at different times, each with processes of its own
    blocks: int  # quiet ones that a repetition needs
    seconds: float  # of a block
    waiting: float  # seconds at most in which the machine may become idle, before each row


def quiet(blocks: Sequence[Block]) -> list[float]:
    """Seconds a unit of the blocks in which nothing else used the processor."""
    return [block["seconds"] for block in blocks if block["others"] < IDLE_BELOW]


def median(blocks: Sequence[Block], needed: int) -> float | None:
    """Of the quiet blocks; None where they are too few."""
    seconds = quiet(blocks)
    return statistics.median(seconds) if seconds and len(seconds) >= needed else None


def wait_until_idle(limit: float) -> None:
    """Until nothing else uses the processor, but `limit` seconds at most."""
    start = time.perf_counter()
    while time.perf_counter() - start < limit:
        clock = Clock("wait")
        time.sleep(WINDOW)
        if clock.idle:
            return


def skipped_sides(specs: Mapping[str, SideSpec]) -> list[str]:
    """The sides that need a package that is not installed."""
    return [side for side, spec in specs.items() if spec.needs and not importlib.util.find_spec(spec.needs)]


def measure(
    name: str, specs: Mapping[str, SideSpec], plan: MeasurementPlan, directory: Path, environment: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """`{side: {"facts": ..., "blocks": [...]}}` of one repetition of a row.

    Raises:
      ValueError: a side cannot be set up, or does not compute what the first one does.
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
    """Blocks of every side, until each has enough quiet ones or there were too many rounds."""
    blocks: dict[str, list[Block]] = {side: [] for side in servers}
    if servers:
        wait_until_idle(plan.waiting)
    for _ in range(ROUNDS * plan.blocks):
        if all(len(quiet(side_blocks)) >= plan.blocks for side_blocks in blocks.values()):
            break
        for side, server in servers.items():
            blocks[side].append(server.block(plan.seconds))
    return blocks
