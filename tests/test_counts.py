"""Counts of parameters and FLOPs from shapes equal those of records, which come from arrays."""

import jax
import pytest
from small_models import TINY

from attn_research.config import Config, override
from attn_research.models.seq2seq import Seq2Seq, init_parameters
from attn_research.runs.clock import Clock
from attn_research.training.counts import count_flops, count_parameters
from attn_research.training.loop import Training
from attn_research.training.prepare import prepare
from attn_research.training.record import mean_flops


def real_parameters(config: Config) -> int:
    """Counts the parameters of a model that is really initialized."""
    data = prepare(config.data)
    model = Seq2Seq(config.model, len(data.source), len(data.target))
    return sum(leaf.size for leaf in jax.tree.leaves(init_parameters(model, 0)))


def real_flops(config: Config) -> float:
    """Counts the FLOPs of a step as the record of a run does."""
    return mean_flops(Training(config, Clock("prepare"), lambda metrics: None, lambda: False))


@pytest.mark.parametrize(
    "changes",
    [{"data.shapes": 3, "train.auxiliary.alignment": 0.1}, {"model.attention.score": "coverage", "model.dropout": 0.1}],
    ids=str,
)
def test_counts_equal_those_of_a_run(changes):
    config = override(TINY, changes)
    assert count_parameters(config) == real_parameters(config)
    assert count_flops(config) == pytest.approx(real_flops(config), rel=1e-12)
