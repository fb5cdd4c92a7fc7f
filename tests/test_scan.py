"""`scan` gives the values and gradients of `jax.lax.scan`, and computes gradients of weights after the loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params
from small_models import SIZES, batch, parameters

from attn_research.attention.scores import scores
from attn_research.config import Config, override
from attn_research.models.cells import cells
from attn_research.models.placements import placements
from attn_research.models.scan import VARIABLE, scan
from attn_research.models.seq2seq import Seq2Seq
from attn_research.registry import Spec
from attn_research.runs.environment import VARIABLES


def step_of(weights):
    """Returns a step with a matrix used twice, keys on both sides, a counter, and a product in a checkpoint."""
    W, U, keys, v = weights

    def step(carry, x):
        h, count = carry
        h = jnp.tanh(x @ W + h @ W + jnp.where(count > 1, h @ U, 0))
        weights = jax.nn.softmax(jnp.einsum("bsa,ba->bs", keys, h))
        context = jnp.einsum("bs,bsa->ba", weights, keys)
        scores = jax.checkpoint(lambda q: jnp.tanh(q @ U) @ v)(context)
        return (h + context, count + 1), (weights, scores, v @ context.T, U @ v)

    return step


def some(*shape):
    return jnp.asarray(np.random.default_rng(sum(shape)).normal(size=shape), jnp.float32)


WEIGHTS = some(5, 5), some(5, 5), some(2, 3, 5), some(5)
START, XS = (some(2, 5), jnp.int32(0)), some(4, 2, 5)


def total(loop, weights, start, xs, reverse):
    result = loop(step_of(weights), (start, jnp.int32(0)), xs, reverse=reverse)
    return sum((leaf**2).sum() for leaf in jax.tree.leaves(result))


def differences(loop, reverse):
    """Returns the value and all gradients."""
    return jax.jit(jax.value_and_grad(lambda *parameters: total(loop, *parameters, reverse), (0, 1, 2)))(
        WEIGHTS, START[0], XS
    )


@pytest.mark.parametrize("reverse", [False, True])
def test_values_and_gradients_equal_those_of_lax_scan(reverse):
    jax.tree.map(
        lambda ours, plain: np.testing.assert_allclose(ours, plain, rtol=1e-5, atol=1e-5),
        differences(scan, reverse),
        differences(jax.lax.scan, reverse),
    )


def test_results_without_a_gradient_equal_those_of_lax_scan():
    ours, plain = (loop(step_of(WEIGHTS), START, XS) for loop in (scan, jax.lax.scan))
    jax.tree.map(np.testing.assert_array_equal, ours, plain)


def products_in_loops(jaxpr, inside=False):
    """Yields the result shapes of all products inside loops."""
    for operation in jaxpr.eqns:
        if inside and operation.primitive.name == "dot_general":
            yield operation.outvars[0].aval.shape
        for inner in jaxprs_in_params(operation.params):
            yield from products_in_loops(inner, inside or operation.primitive.name == "scan")


def gradient_shapes(loop):
    """Returns the shapes of products inside loops of a gradient of two weights with unique sizes."""
    W, keys = some(5, 7), some(2, 3, 7)

    def loss(W, keys):
        def step(h, x):
            return h + jnp.einsum("bsa,ba->bs", keys, x @ W).sum(), None

        return loop(step, jnp.float32(0), XS)[0]

    return set(products_in_loops(jax.make_jaxpr(jax.grad(loss, (0, 1)))(W, keys).jaxpr))


def test_gradients_of_weights_are_computed_outside_the_loop():
    of_weights, of_keys = {(7, 5), (5, 7)}, {(2, 3, 7), (2, 7, 3)}
    plain, ours = gradient_shapes(jax.lax.scan), gradient_shapes(scan)
    assert of_weights & plain
    assert of_keys & plain
    assert (2, 7) in ours  # the test sees the loop and its own products
    assert not (of_weights | of_keys) & ours


def model_gradients(changes):
    """Returns the logits and the gradients of all parameters of a small model."""
    model = Seq2Seq(override(Config(), SIZES | changes).model, source_size=11, target_size=9)
    data = batch()

    def loss(params):
        logits, _ = model.apply(params, data.source, data.source_lengths).teacher_force(data.target)
        return (jax.nn.log_softmax(logits)[..., 0] ** 2).mean(), logits

    return jax.jit(jax.value_and_grad(loss, has_aux=True))(parameters(model, 0))


def assert_both_loops_agree(changes, monkeypatch):
    ours = model_gradients(changes)
    monkeypatch.setenv(VARIABLE, "lax")
    plain = model_gradients(changes)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5), ours, plain)


def test_the_setting_takes_lax_scan_and_is_part_of_a_runs_identity(monkeypatch):
    monkeypatch.setenv(VARIABLE, "lax")
    jax.jvp(lambda x: scan(lambda h, x: (h * x, h), jnp.float32(1), x)[0], (some(3),), (some(3),))
    assert VARIABLE in VARIABLES


@pytest.mark.slow
@pytest.mark.parametrize("cell", cells.functions)
def test_every_cell_has_the_same_gradients_with_lax_scan(cell, monkeypatch):
    assert_both_loops_agree({"model.encoder.cell": cell, "model.decoder.cell": cell}, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("placement", placements.functions)
def test_every_placement_has_the_same_gradients_with_lax_scan(placement, monkeypatch):
    layers = 2 if placement == "bottom" else 1
    changes = {"model.decoder.placement": placement, "model.decoder.layers": layers}
    assert_both_loops_agree(changes, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("feeding", ["attentional", "none"])
@pytest.mark.parametrize("score", [name for name in scores.functions if scores.bind(Spec(name)).traits.attends])
def test_every_score_has_the_same_gradients_with_lax_scan(score, feeding, monkeypatch):
    assert_both_loops_agree({"model.attention.score": score, "model.decoder.input_feeding": feeding}, monkeypatch)
