"""Attention weights and history, cells compared with plain NumPy, and invalid settings of models."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from attention_steps import close
from reference_cells import gru, lstm, rnn

from attn_research.attention.attention import Attention, max_source_length
from attn_research.attention.scores import scores
from attn_research.config import Attention as AttentionConfig
from attn_research.config import Config, override
from attn_research.models.cells import cells
from attn_research.models.seq2seq import Seq2Seq, init_parameters
from attn_research.registry import Spec

rng = np.random.default_rng(0)
KEYS, QUERY = (jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in ((2, 5, 4), (2, 4)))


def test_the_limit_of_a_score_is_its_hyperparameter():
    assert max_source_length(Spec("location(max_length=7)")) == 7
    assert max_source_length(Spec("dot")) is None


def test_equal_logits_give_uniform_weights_over_real_positions():
    attention = Attention(AttentionConfig(score=Spec("dot")))
    lengths = jnp.array([3, 5])
    bound_attention = attention.apply({}, jnp.zeros_like(KEYS), lengths, KEYS[:, -1], 4)
    weights = bound_attention.step(QUERY, bound_attention.start)[1]
    close(weights, [[1 / 3, 1 / 3, 1 / 3, 0, 0], [0.2] * 5])


def test_coverage_is_the_sum_of_previous_weights():
    """Only a score that remembers reads the last weights and their sum; others read None."""
    histories = []

    def watching(param, keys, query_size):
        def score(query, history):
            histories.append(history)
            return keys.sum(-1) - (0 if history.coverage is None else 9 * history.coverage)

        return score

    scores.functions["watching"] = scores.register(watching, remembers=True)
    try:
        attention = Attention(AttentionConfig(score=Spec("watching")))
        bound_attention = attention.apply({}, KEYS, jnp.array([5, 5]), KEYS[:, -1], 4)
        _, first, history = bound_attention.step(QUERY, bound_attention.start)
        _, second, history = bound_attention.step(QUERY, history)
    finally:
        del scores.functions["watching"]
    assert bound_attention.remembers
    assert not histories[0].coverage.any()
    close(histories[1].weights, first)
    close(history[0].coverage, first + second)
    assert not np.allclose(first, second)
    assert int(history[0].step) == 2


@pytest.mark.parametrize("plain", [rnn, gru, lstm], ids=lambda f: f.__name__)
def test_cells_equal_their_equations(plain):
    bound = cells.bind(Spec(plain.__name__))
    parameters = {}

    def param(name, init, shape):
        return parameters.setdefault(name, rng.normal(size=shape).astype(np.float32))

    cell = bound(param, 3, 4)
    x = rng.normal(size=(2, 3)).astype(np.float32)
    state = tuple(rng.normal(size=(2, 4)).astype(np.float32) for _ in range(bound.traits.parts))
    for actual, expected in zip(cell(state, x), plain(parameters, state, x), strict=True):
        close(actual, expected)


def build(**changes):
    changes = {name.replace("__", "."): value for name, value in changes.items()}
    one = Seq2Seq(override(Config(), changes).model, source_size=9, target_size=8)
    return jax.eval_shape(lambda: init_parameters(one, seed=0))


INVALID = {
    "sizes of query and key": ({"model__encoder__hidden": 32}, ["64", "32", "model.attention.keys=64", "general"]),
    "odd size in two directions": ({"model__encoder__hidden": 63}, ["63", "even"]),
    "copy between shapes": (
        {"model__decoder__bridge": "copy", "model__decoder__layers": 2},
        ["1 layer(s)", "2 layer(s)", "dense"],
    ),
    "context never read": (
        {"model__decoder__combination": "none"},
        ["combination", "placement", "input_feeding"],
    ),
    "keys that location ignores": (
        {"model__attention__score": "location", "model__attention__keys": 8},
        ["model.attention.keys", "location"],
    ),
    "values without attention": (
        {"model__attention__score": "none", "model__attention__values": 8},
        ["model.attention.values", "none"],
    ),
    "placement without attention": (
        {"model__attention__score": "none", "model__decoder__placement": "before"},
        ["placement", "none"],
    ),
    "context fed without attention": (
        {"model__attention__score": "none", "model__decoder__input_feeding": "context"},
        ["input_feeding", "none"],
    ),
    "nothing known of the source": (
        {"model__attention__score": "none", "model__decoder__bridge": "zero"},
        ["bridge", "nothing"],
    ),
    "unknown score": ({"model__attention__score": "genral"}, ["genral", "general", "concat"]),
    "unknown hyperparameter": ({"model__attention__score": "concat(unit=3)"}, ["unit", "units", "bias"]),
    "unknown cell": ({"model__encoder__cell": "lstmm"}, ["lstmm", "lstm", "gru"]),
}


@pytest.mark.parametrize("case", INVALID)
def test_invalid_models_are_rejected_with_the_reason(case):
    changes, words = INVALID[case]
    with pytest.raises(ValueError) as error:
        build(**changes)
    for word in words:
        assert word in str(error.value)


def test_models_of_two_layers_build_with_every_cell_and_direction():
    for cell in cells.functions:
        for direction in ("forward", "reversed", "both"):
            both = {"model__encoder__cell": cell, "model__decoder__cell": cell}
            layers = {"model__encoder__layers": 2, "model__decoder__layers": 2}
            tree = build(**both, **layers, model__encoder__direction=direction, model__decoder__bridge="copy")
            ways = 2 if direction == "both" else 1
            assert len(tree["params"]["encoder"]) == 2 * ways
            assert "bridge" not in tree["params"]["decoder"]
