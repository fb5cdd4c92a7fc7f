"""The training step: a pure, jitted function of state and batch. The state is donated."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from attn_research import config
from attn_research.data.batching import Batch
from attn_research.models.seq2seq import Seq2Seq
from attn_research.training import auxiliary
from attn_research.training.optimizers import make_optimizer


class TrainState(NamedTuple):
    """Everything that a training step reads and updates."""

    params: Any
    optimizer: Any
    step: Int[Array, ""]
    key: Array  # of dropout; each step folds in its number
    peak: Float[Array, ""]  # learning rate at the peak of the schedule


def init_state(params: Any, train: config.Train, seed: int) -> TrainState:
    """Returns the initial state. It holds seed and learning rate, so that runs share one compiled step."""
    moments, peak = make_optimizer(train, train.learning_rate).init(params), jnp.asarray(train.learning_rate, float)
    return TrainState(params, moments, jnp.int32(0), jax.random.PRNGKey(seed), peak)


def token_mask(batch: Batch) -> Float[Array, "t b"]:
    """Returns 1 at real target symbols, including EOS, and 0 at padding."""
    return (jnp.arange(batch.target.shape[1])[:, None] < batch.target_lengths[None]).astype(jnp.float32)


def make_train_step(model: Seq2Seq, train: config.Train) -> jax.stages.Wrapped:
    """Returns a jitted `(TrainState, Batch) -> TrainState, metrics`."""

    def loss_fn(params, batch, key):
        rngs = {"dropout": key, "attention": jax.random.fold_in(key, 1)}
        session = model.apply(params, batch.source, batch.source_lengths, rngs=rngs)
        z, weights = session.unnormalized(batch.target)
        mask = token_mask(batch)
        loss = (session.normalizer.loss(z, batch.target, train.label_smoothing) * mask).sum() / mask.sum()
        parts = auxiliary.losses(train, weights, mask, batch.links)
        return auxiliary.total_loss(train, loss, parts), (loss, parts)

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, dict[str, Array]]:
        key = jax.random.fold_in(state.key, state.step)
        (_, (loss, parts)), gradient = jax.value_and_grad(loss_fn, has_aux=True)(state.params, batch, key)
        optimizer = make_optimizer(train, state.peak)
        update, moments = optimizer.update(gradient, state.optimizer, state.params)
        params = optax.apply_updates(state.params, update)
        metrics = {
            "loss": loss,
            **{f"auxiliary/{name}": part for name, part in parts.items()},
            "gradient_norm": optax.tree.norm(gradient),
            "update_norm": optax.tree.norm(update),
            "parameter_norm": optax.tree.norm(params),
        }
        return state._replace(params=params, optimizer=moments, step=state.step + 1), metrics

    return jax.jit(step, donate_argnums=0)
