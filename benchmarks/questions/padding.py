"""Which share of the symbols in padded batches is real, for how many compiled shapes?"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from attn_research.config import load
from attn_research.data.batching import EncodedSplit, Sentences, Shape, choose_shapes, plan_batches
from attn_research.data.files import find_folder
from attn_research.training.prepare import prepare
from benchmarks.questions import OURS, PreparedSide, Question, SideSpec
from benchmarks.server import ROOT
from benchmarks.tables import page, provenance

NAMES = {"Multi30k, German to English": "multi30k_deen", "CMUdict": "g2p_cmudict"}
COUNTS = range(1, 16)
# For generated lengths: sentence pairs, mean source length, mean target length per source symbol.
STAND_IN = {"multi30k_deen": (29_000, 14.0, 1.1), "g2p_cmudict": (106_837, 7.5, 0.85)}


def rows(full: bool) -> dict[str, dict[str, SideSpec]]:
    """One row per data set. Nothing is timed."""
    target = "benchmarks.questions.padding:padding"
    return {row: {OURS: SideSpec(target, {"name": name})} for row, name in NAMES.items()}


def padding(directory: Path, name: str) -> PreparedSide:
    """Measures the share of real symbols for each number of shapes, and for random batches.

    If the data files are missing, the lengths are generated.
    """
    config = load(ROOT / "configs" / f"{name}.py")
    path, batch = config.data.task.hyper["path"], config.data.batch_size
    generated = not _exists(path)
    encoded = _generate(*STAND_IN[name]) if generated else prepare(config.data).splits["train"].encoded
    shares = [share(encoded, choose_shapes(encoded, count), batch) for count in COUNTS]
    facts = {"generated": generated, "batch": batch, "shares": shares, "random": random_share(encoded, batch)}
    return PreparedSide(None, facts)


def _exists(path: str) -> bool:
    try:
        return find_folder(path).is_dir()
    except ValueError:
        return False


def _generate(pairs: int, mean: float, ratio: float) -> EncodedSplit:
    rng = np.random.default_rng(0)
    sources = 1 + rng.poisson(rng.gamma(12, (mean - 1) / 12, pairs))
    targets = 2 + rng.poisson(ratio * sources - ratio)
    return EncodedSplit(*(Sentences(np.zeros(lengths.sum(), np.int32), lengths) for lengths in (sources, targets)))


def _real_symbols(encoded: EncodedSplit) -> int:
    return int(encoded.source.lengths.sum() + encoded.target.lengths.sum())


def share(encoded: EncodedSplit, shapes: tuple[Shape, ...], batch: int) -> dict[str, Any]:
    """Returns the share of real symbols in an epoch, empty rows included, and the number of compiled shapes."""
    batches = plan_batches(encoded, shapes, batch)
    padded = batch * sum(sum(shapes[shape]) for shape, _ in batches)
    return {"real": _real_symbols(encoded) / padded, "compiled": len({shape for shape, _ in batches})}


def random_share(encoded: EncodedSplit, batch: int) -> dict[str, Any]:
    """Returns the same for batches of random pairs, each padded to its longest source and target."""
    order = np.random.default_rng(0).permutation(len(encoded.source))
    batches = [order[start : start + batch] for start in range(0, len(order), batch)]
    shapes = [tuple(int(side.lengths[rows].max()) for side in encoded) for rows in batches]
    return {"real": _real_symbols(encoded) / (batch * sum(map(sum, shapes))), "compiled": len(set(shapes))}


def table(record: Mapping[str, Any]) -> str:
    """Returns a table with one line per number of shapes."""
    facts = {row: sides[OURS]["facts"] for row, sides in record["rows"].items()}
    header = ["shapes (max.)", *(f"{row}: {column}" for row in facts for column in ("real symbols, %", "compiled"))]
    lines = [[str(count), *_cells([f["shares"][i] for f in facts.values()])] for i, count in enumerate(COUNTS)]
    lines.append(["random batches, padded to their longest pair", *_cells([f["random"] for f in facts.values()])])
    notes = [f"{row}: batches of {f['batch']}, {_origin(f)}." for row, f in facts.items()]
    return page("Real symbols in the padded batches of an epoch", header, lines, [*notes, provenance(record)])


def _cells(shares: list[Mapping[str, Any]]) -> list[str]:
    return [text for share in shares for text in (f"{100 * share['real']:.0f}", str(share["compiled"]))]


def _origin(facts: Mapping[str, Any]) -> str:
    return "generated lengths, because the data files are missing" if facts["generated"] else "the training split"


question = Question(rows, table)
