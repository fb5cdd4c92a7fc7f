"""Every field of a model's config has an effect."""

import jax
import optax
import pytest
from small_models import SIZES, batch

from attn_research.config import Config, field_types, override
from attn_research.models.seq2seq import Seq2Seq, init_parameters

FIELDS = {
    "model.embedding": 7, "model.dropout": 0.5,
    "model.encoder.cell": "gru", "model.encoder.layers": 2, "model.encoder.hidden": 8,
    "model.encoder.direction": "reversed",
    "model.attention.score": "general", "model.attention.normalizer": "sparsemax",
    "model.attention.window": "local_m(D=1)", "model.attention.query": "state_and_symbol",
    "model.attention.heads": 2, "model.attention.split": False,
    "model.attention.keys": 6, "model.attention.values": 6, "model.attention.output": 6,
    "model.attention.latent": "hard", "model.attention.bias": "values",
    "model.decoder.cell": "rnn", "model.decoder.layers": 2, "model.decoder.hidden": 8,
    "model.decoder.bridge": "zero", "model.decoder.placement": "before",
    "model.decoder.input_feeding": "context", "model.decoder.combination": "linear",
    "model.output.normalizer": "sparsemax",
}  # fmt: skip
NEEDS = {  # settings in which the field has an effect
    "model.attention.split": {"model.attention.heads": 2},
    "model.attention.bias": {"model.attention.values": 6},
    "model.attention.latent": {"model.decoder.input_feeding": "none"},
}


ZERO_AT_FIRST = ("model.attention.bias",)


def test_the_test_covers_every_field_of_the_model():
    assert set(FIELDS) == {name for name in field_types(Config()) if name.startswith("model.")}


@pytest.mark.parametrize("name", FIELDS)
def test_no_field_of_the_model_is_inert(name):
    """Every field changes the loss by more than rounding. A bias starts at zero and changes the gradient's norm."""
    rows, base = batch(), {"model.attention.score": "concat", **NEEDS.get(name, {})}

    def actual(changes):
        one = Seq2Seq(override(Config(), SIZES | base | changes).model, 11, 9)
        params = init_parameters(one, seed=0)

        def loss(params):
            rngs = {"dropout": jax.random.PRNGKey(1)}
            session = one.apply(params, rows.source, rows.source_lengths, rngs=rngs)
            z, _ = session.unnormalized(rows.target)
            return session.normalizer.loss(z, rows.target, 0.0)[:, :3].mean()

        return optax.tree.norm(jax.grad(loss)(params)) if name in ZERO_AT_FIRST else loss(params)

    assert abs(actual({name: FIELDS[name]}) - actual({})) > 1e-5
