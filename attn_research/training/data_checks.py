"""Warns of data that is read or scored otherwise than its makers may think."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from attn_research.data.segmentation import Segmentation
from attn_research.metrics.text import perfect_bleu
from attn_research.registry import Spec

if TYPE_CHECKING:
    import pyarrow

SAMPLE = 500  # items of dev that are compared
PERFECT = 99.5  # BLEU
log = logging.getLogger(__name__)


def warn_of_other_symbols(spec: Spec, dev: "pyarrow.Table", segmentation: Segmentation) -> None:
    """Warns if a line of text would be split into other symbols than the task's source has."""
    for item, symbols in enumerate(dev["source"].slice(0, SAMPLE).to_pylist()):
        line = segmentation.join(symbols)
        if (result := segmentation.split(line)) != symbols:
            log.warning(
                "task %s: `translate` would read the line %r, item %d of dev, as %s, but its symbols are %s; register "
                'the task with symbols="words" or another way of reading lines',
                *(spec, line, item, result[:8], symbols[:8]),
            )
            return


def warn_of_low_bleu(spec: Spec, dev: "pyarrow.Table", tokenize: str) -> None:
    """Warns if the references of dev, as outputs, would not have the highest BLEU."""
    lines: Sequence[Sequence[str]] = dev["raw"].to_pylist() if "raw" in dev.column_names else []
    if lines and (best := perfect_bleu(lines, tokenize)) < PERFECT:
        log.warning(
            "task %s: a perfect output has BLEU %.1f on dev, since its lines have fewer than four tokens (tok:%s)",
            *(spec, best, tokenize),
        )
