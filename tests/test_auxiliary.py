"""Auxiliary losses: their equations, inputs and effect on training, and invalid settings."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attn_research.config import Auxiliary, Config, Train, override
from attn_research.data.batching import Batch, collate
from attn_research.models.seq2seq import Seq2Seq, init_parameters
from attn_research.registry import Spec
from attn_research.training.auxiliary import auxiliaries, losses, total_loss
from attn_research.training.loop import Training, load_data, run
from attn_research.training.step import token_mask

WEIGHTS = np.array([[[0.5, 0.5, 0.0]], [[0.25, 0.75, 0.0]], [[0.0, 1.0, 0.0]], [[0.2, 0.3, 0.5]]], np.float32)
MASK = np.array([[1.0], [1.0], [1.0], [0.0]], np.float32)  # the last step is padding
LINKS = np.array([[[1, 1, 0], [0, 1, 0], [0, 0, 0], [0, 0, 1]]], np.float32)
GOLDEN = {
    "coverage": (0.25 + 0.5) + 1.0,
    "alignment": -(0.5 * np.log(0.5) * 2 + np.log(0.75)),
    "entropy": np.log(2) - (0.25 * np.log(0.25) + 0.75 * np.log(0.75)),
}
LOSSES = tuple(auxiliaries.functions)


def compute(name, weights=WEIGHTS, mask=MASK, links=LINKS):
    bound = auxiliaries.bind(Spec(name))
    return bound(*map(jnp.asarray, (weights, mask, links))) if bound.traits.links else bound(weights, mask, None)


def test_every_loss_has_its_coefficient_in_the_config():
    assert set(LOSSES) == set(vars(Auxiliary())) == set(GOLDEN)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_equals_its_equation(name):
    np.testing.assert_allclose(compute(name), [GOLDEN[name]], rtol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_longer_padding_on_either_side_changes_nothing(name):
    longer = np.pad(WEIGHTS, ((0, 2), (0, 0), (0, 3)))
    links = np.pad(LINKS, ((0, 0), (0, 2), (0, 3)))
    np.testing.assert_allclose(compute(name, longer, np.pad(MASK, ((0, 2), (0, 0))), links), compute(name), rtol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_finite_where_weights_are_zero(name):
    gradient = jax.grad(lambda weights: compute(name, weights).sum())(jnp.asarray(WEIGHTS))
    assert np.isfinite(gradient).all()
    assert not gradient[3].any()
    nothing = jnp.zeros_like(WEIGHTS)
    assert np.isfinite(jax.grad(lambda weights: compute(name, weights).sum())(nothing)).all()


def test_links_are_the_pairs_of_the_gold_alignment():
    data = load_data(override(Config(), TASK))
    split = data.splits["train"]
    batch = collate(split.encoded, [4, 2], (7, 8), 3, split.column("alignment"))
    actual = [{(j, i) for i, j in zip(*np.nonzero(links), strict=True)} for links in batch.links]
    expected = [{tuple(pair) for pair in split.column("alignment")[row]} for row in (4, 2)]
    assert actual == [*expected, set()]
    assert batch.links.shape == (3, 8, 7)
    assert collate(split.encoded, [4, 2], (7, 8), 3).links is None


TASK = {"data.task": "reverse(symbols=6, longest=5, longest_test=6, train=96, test=8)", "data.batch_size": 32}
SIZES = {"model.embedding": 8, "model.encoder.hidden": 8, "model.decoder.hidden": 8, "data.shapes": 1}
ALL = Auxiliary(coverage=0.5, alignment=2.0, entropy=-0.25)


def test_every_loss_reaches_the_parameters_of_the_score():
    config = override(Config(), TASK | SIZES | {"model.attention.score": "general"})
    data = load_data(config)
    split = data.splits["train"]
    batch = Batch(*map(jnp.asarray, collate(split.encoded, range(4), split.shapes[0], 4, split.column("alignment"))))
    model = Seq2Seq(config.model, len(data.source), len(data.target))

    def parts(params):
        _, weights = model.apply(params, batch.source, batch.source_lengths).teacher_force(batch.target)
        return losses(Train(auxiliary=ALL), weights, token_mask(batch), batch.links)

    gradients = jax.jit(jax.jacrev(parts))(init_parameters(model, 0))
    assert set(gradients) == set(LOSSES)
    for gradient in gradients.values():
        assert np.abs(gradient["params"]["decoder"]["attention"]["score"]["W"]).max() > 1e-6


def test_the_total_loss_is_cross_entropy_plus_weighted_auxiliary_losses():
    parts = {name: jnp.float32(value) for name, value in GOLDEN.items()}
    expected = 3 + 0.5 * GOLDEN["coverage"] + 2 * GOLDEN["alignment"] - 0.25 * GOLDEN["entropy"]
    np.testing.assert_allclose(total_loss(Train(auxiliary=ALL), jnp.float32(3), parts), expected, rtol=1e-6)
    assert losses(Train(), jnp.asarray(WEIGHTS), jnp.asarray(MASK), None) == {}


@pytest.mark.slow
def test_guided_alignment_learns_the_links_and_is_logged(tmp_path):
    """Without guidance, the weights stay far from gold in so few steps."""
    steps = {"train.steps": 120, "train.evaluate_every": 120, "train.log_every": 10, "train.learning_rate": 2e-2}
    logged = []
    record = run(override(Config(), TASK | SIZES | steps | {"train.auxiliary.alignment": 2.0}), tmp_path, logged.append)
    guided = [line["auxiliary/alignment"] for line in logged if "loss" in line]
    assert guided[-1] < 0.6 * guided[0]
    assert record["splits"]["test"]["metrics"]["aer"] < 0.3
    assert "auxiliary/coverage" not in logged[0]


INVALID = {
    "no weights": ({"train.auxiliary.entropy": -0.1, "model.attention.score": "none"}, ["entropy", "none", "weights"]),
    "no links": ({"train.auxiliary.alignment": 1.0, "data.task": "FILE"}, ["alignment", "gold", "transduction"]),
    "negative coverage": ({"train.auxiliary.coverage": -1.0}, ["train.auxiliary.coverage", "-1.0", "at least 0"]),
    "unknown loss": ({"train.auxiliary.alignement": 1.0}, ["alignement", "train.auxiliary.alignment"]),
}


@pytest.mark.parametrize("case", INVALID)
def test_a_loss_without_inputs_is_rejected_in_one_sentence(case, tmp_path):
    changes, words = INVALID[case]
    for split in ("train", "dev", "test"):
        (tmp_path / f"{split}.tsv").write_text("a b\tA B\n" * 4)
    if "data.task" in changes:
        changes = changes | {"data.task": f'transduction(path="{tmp_path}")'}
    with pytest.raises(ValueError) as error:
        Training(override(Config(), TASK | SIZES | changes), None, None, None)
    assert "\n" not in str(error.value)
    assert all(word in str(error.value) for word in words), str(error.value)
