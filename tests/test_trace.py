"""Traces of attention: the same weights as in decoding, from the scores."""

import base64
import zlib

import jax
import numpy as np
import pytest
from report_pages import item, trace, traces
from small_models import SIZES, batch, parameters, write_untrained_run

from attn_research.config import Config, override
from attn_research.decoding.trace import trace as trace_session
from attn_research.models.seq2seq import Seq2Seq
from attn_research.translator import load
from attn_research.web.packing import pack_integers
from attn_research.web.traces import SHOWN, compute_traces

VARIANTS = {
    "general": {},
    "two heads": {"model.attention.heads": 2},
    "unsplit": {"model.attention.heads": 2, "model.attention.split": False},
    "before": {"model.decoder.placement": "before", "model.attention.score": "location_aware"},
    "no feeding": {"model.decoder.input_feeding": "none", "model.attention.score": "concat"},
    "window": {"model.attention.window": "local_p"},
    "sparse output": {"model.output.normalizer": "entmax"},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_trace_has_the_weights_and_logits_of_teacher_forcing(variant):
    changes = SIZES | {"model.attention.score": "general"} | VARIANTS[variant]
    config = override(Config(), changes)
    one, data = Seq2Seq(config.model, 11, 9), batch()

    @jax.jit
    def both(params):
        session = one.apply(params, data.source, data.source_lengths)
        return trace_session(session, data.target), session.teacher_force(data.target)

    traced, (logits, weights) = both(parameters(one, 0))
    np.testing.assert_allclose(traced.weights.mean(1), weights, atol=1e-5)
    np.testing.assert_allclose(traced.log_probability, jax.nn.log_softmax(logits), atol=1e-4)
    assert traced.weights.shape[1] == config.model.attention.heads
    if config.model.attention.window is None:
        # The third source has the whole padded length.
        np.testing.assert_allclose(jax.nn.softmax(traced.scores[:, :, 2]), traced.weights[:, :, 2], atol=1e-5)


def test_a_translator_traces_each_item_at_its_own_length(tmp_path):
    translator = load(write_untrained_run(tmp_path / "run", "general", seed=1))
    lines, targets = ["a b c", "d e"], ["c b a", "e"]
    scored, traced = translator.score(lines, targets), translator.trace(lines, targets)
    for one, same in zip(traced, scored, strict=True):
        np.testing.assert_allclose(one.weights.mean(1), same.weights, atol=1e-5)
        assert one.query.shape == (len(same.weights), 6)
    chosen = [*translator.target.encode(["c", "b", "a"]), 2]
    assert sum(traced[0].log_probability[range(4), chosen]) == pytest.approx(scored[0].log_probability, abs=1e-4)


def test_a_model_without_attention_has_no_trace(tmp_path):
    directory = write_untrained_run(tmp_path / "run", "none")
    assert load(directory).trace(["a b"], ["b a"]) is None
    assert compute_traces(directory, []) is None


def test_described_traces_keep_four_digits():
    items = [item(0, "general"), item(1, "general")]
    content = traces(items, "general")
    assert (content["heads"], content["query_size"]) == (2, SHOWN)
    for name, unit in (("scores", "score"), ("weights", "weight")):
        numbers = np.frombuffer(zlib.decompress(base64.b64decode(content[name])), "<i2") * content["units"][unit]
        expected = [getattr(trace(one, 2), name).swapaxes(0, 1).ravel() for one in items]
        np.testing.assert_allclose(numbers, np.concatenate(expected), atol=1e-3)
    assert [len(steps) for steps in content["likely"]] == [len(one.weights) for one in items]
    symbol, probability = content["likely"][0][0][0]
    assert isinstance(symbol, str) and probability == round(
        float(np.exp(trace(items[0], 2).log_probability[0].max())), 4
    )


def test_packed_integers_need_finite_numbers_only():
    text, unit = pack_integers([np.array([-np.inf, 2.0, np.nan])])
    numbers = np.frombuffer(zlib.decompress(base64.b64decode(text)), "<i2") * unit
    np.testing.assert_allclose(numbers, [0, 2, 0], atol=1e-3)
