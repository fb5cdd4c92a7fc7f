import math

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from known_records import record
from small_models import LENGTHS, SIZES, batch, parameters

from attn_research.config import Config, override
from attn_research.metrics import METRICS, diagnose
from attn_research.models.seq2seq import Seq2Seq
from attn_research.reports.tables import Table
from attn_research.training.evaluate import make_eval_step


def values(weights, steps, sources):
    counts = diagnose(np.array(weights, np.float32), np.array(steps), np.array(sources))
    return {name: METRICS[name].value(*parts) for name, parts in counts.items()}


def test_diagnostics_equal_those_by_hand():
    steps = [[0.5, 0.5, 0], [0, 0, 1], [0, 1, 0], [9, 9, 9]]  # the last step is after the end
    weights = np.array(steps)[:, None]
    assert values(weights, [3], [3]) == pytest.approx(
        {
            "entropy": math.log(2) / 3,
            "effective_support": (2 + 1 + 1) / 3,
            "zero_share": 5 / 9,
            "monotonicity": 1 / 2,  # 0 to 2, back to 1
            "jump": (2 + 1) / 2,
            "covered": 1,
            "padding_mass": 0,
        }
    )


def test_weights_after_the_source_are_padding_and_neither_zero_nor_covered():
    actual = values([[[0.25, 0, 0.75]], [[0, 0, 1]]], [2], [2])
    assert actual["padding_mass"] == pytest.approx(1.75 / 2)
    assert actual["covered"] == 0 and actual["zero_share"] == 3 / 4


def test_an_output_of_one_step_has_no_movement():
    counts = diagnose(np.ones((1, 2, 1), np.float32), np.array([1, 0]), np.array([1, 1]))
    assert all(counts[name][1].tolist() == [0, 0] for name in ("monotonicity", "jump"))
    assert counts["effective_support"][0].tolist() == [1, 0]


@st.composite
def batches(draw):
    t, b, s = draw(st.integers(1, 5)), draw(st.integers(1, 4)), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    weights = rng.dirichlet(np.full(s, draw(st.sampled_from([0.1, 1.0, 10.0]))), size=(t, b)).astype(np.float32)
    return weights, rng.integers(1, t + 1, b), rng.integers(1, s + 1, b)


@given(batches())
def test_a_batch_gives_what_its_items_give(arguments):
    weights, steps, sources = arguments
    together = diagnose(*arguments)
    for item in range(len(steps)):
        alone = diagnose(weights[: steps[item], item : item + 1], steps[item : item + 1], sources[item : item + 1])
        for name, parts in alone.items():
            np.testing.assert_allclose([part[item] for part in together[name]], [part[0] for part in parts], 1e-5, 1e-6)


@given(batches())
def test_diagnostics_are_within_their_ranges(arguments):
    for name, parts in diagnose(*arguments).items():
        value = METRICS[name].value(*parts)
        assert math.isnan(value) or METRICS[name].minimum <= value <= METRICS[name].maximum + 1e-6
        assert METRICS[name].finish is METRICS["exact"].finish


@pytest.mark.parametrize("normalizer", ["softmax", "entmax(alpha=2.0)", "top_k(k=2)"])
def test_models_put_no_weight_on_padding(normalizer):
    changes = {"model.attention.score": "general", "model.attention.normalizer": normalizer}
    config = override(Config(), SIZES | changes)
    one, inputs = Seq2Seq(config.model, 11, 9), batch()
    outputs = jax.device_get(make_eval_step(one, config.decode)(parameters(one, 3), inputs).outputs)
    written = np.asarray(LENGTHS) > 0
    counts = diagnose(outputs.weights[:, written], outputs.lengths[written], np.asarray(LENGTHS)[written])
    assert METRICS["padding_mass"].value(*counts["padding_mass"]) == 0 and counts["padding_mass"][1].all()
    assert outputs.weights.shape[-1] > min(LENGTHS)


def test_a_table_of_old_and_new_records_has_a_dash_for_a_new_metric():
    def row(score, **metrics):
        split = {"metrics": {"exact": 0.5} | metrics, "items": {}, "ceiling": None}
        return [record(score, seed, test=split) for seed in range(3)]

    table = Table("model.attention.score", ("test/exact", "test/effective_support"))
    built = table.build({"dot": row("dot"), "general": row("general", effective_support=2.5)})
    assert [built.rows[name][1].value for name in ("dot", "general")] == [None, 2.5]
    assert built.rows["dot"][0].value == 0.5
