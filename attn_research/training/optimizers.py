"""Registries of optimizers and learning-rate schedules, all computed by optax."""

from typing import Annotated

import optax
from jaxtyping import Array, Float

from attn_research import config
from attn_research.annotations import Range, Share, Trace
from attn_research.registry import Registry, require

# With fewer parameters, an elementwise optimizer updates all arrays as one vector: compilation takes 12 % less time,
# and steps of small arrays are faster. With more, it updates each array by itself: 6 % less time per step at 13 million
# parameters.
FLATTEN_BELOW = 500_000

# `schedule(steps, **hyper)` returns a function from a step to the share of the peak learning rate.
schedules = Registry("schedule")
# `optimizer(rate, **hyper)` returns a gradient transformation; `rate` is a function from a step to the learning rate.
# elementwise: the update of an entry depends on that entry alone, not on the rest of its array as in LAMB.
optimizers = Registry("optimizer", elementwise=False)

Part = Annotated[float, Range(minimum=0, maximum=1)]
Every = Annotated[float, Range(minimum=1e-6, maximum=1)]


def _warmup_steps(warmup: float, steps: int) -> int:
    """Returns the number of warmup steps, which must be less than `steps`."""
    warmup_steps = round(warmup * steps)
    require(warmup_steps < steps, f"warmup {warmup!r} of train.schedule takes all of train.steps {steps}")
    return warmup_steps


@schedules.register
def constant(steps: int) -> optax.Schedule:
    """Constant at the peak."""
    return optax.constant_schedule(1.0)


@schedules.register
def linear(steps: int, warmup: Share = 0.0) -> optax.Schedule:
    """Linear warmup from 0 to the peak, then linear decay to 0.

    Args:
      warmup: share of the steps.
    """
    warmup_steps = _warmup_steps(warmup, steps)
    return optax.join_schedules(
        [optax.linear_schedule(0.0, 1.0, warmup_steps), optax.linear_schedule(1.0, 0.0, steps - warmup_steps)],
        [warmup_steps],
    )


@schedules.register
def cosine(steps: int, warmup: Share = 0.0, final: Part = 0.0) -> optax.Schedule:
    """Linear warmup, then cosine decay: final + (1 - final) (1 + cos(pi u)) / 2, where u runs from 0 to 1.

    Args:
      warmup: share of the steps.
      final: share of the peak at the last step.
    """
    warmup_steps = _warmup_steps(warmup, steps)
    return optax.warmup_cosine_decay_schedule(0.0 if warmup_steps else 1.0, 1.0, warmup_steps, steps, end_value=final)


@schedules.register
def halving(steps: int, begin: Part = 0.5, every: Every = 0.1) -> optax.Schedule:
    """Constant, then halved at regular intervals   (Luong et al. 2015).

    Args:
      begin: share of the steps before the first halving.
      every: share of the steps between two halvings.
    """
    return lambda step: 0.5 ** ((step - begin * steps) // (every * steps) + 1).clip(0)


@optimizers.register(elementwise=True)
def adam(rate: optax.Schedule, b1: Share = 0.9, b2: Share = 0.999, eps: Trace = 1e-8) -> optax.GradientTransformation:
    """Adam   (Kingma & Ba 2015)."""
    return optax.adam(rate, b1, b2, eps)


@optimizers.register(elementwise=True)
def adadelta(rate: optax.Schedule, rho: Share = 0.95, eps: Trace = 1e-6) -> optax.GradientTransformation:
    """Adadelta   (Zeiler 2012); Bahdanau et al. 2015 use it with a learning rate of 1."""
    return optax.adadelta(rate, rho, eps)


@optimizers.register(elementwise=True)
def sgd(rate: optax.Schedule, momentum: Share = 0.0) -> optax.GradientTransformation:
    """Stochastic gradient descent, optionally with momentum."""
    return optax.sgd(rate, momentum)


def make_optimizer(train: config.Train, peak: float | Float[Array, ""]) -> optax.GradientTransformation:
    """Returns the optimizer of a config: clipping by global norm, then the update.

    Args:
      peak: learning rate at the peak of the schedule.
    """
    share = schedules.bind(train.schedule)(train.steps)
    optimizer = optimizers.bind(train.optimizer)
    chain = optax.chain(optax.clip_by_global_norm(train.clip), optimizer(lambda step: peak * share(step)))
    vector = optax.flatten(chain)

    def optimizer_for(tree: optax.Params) -> optax.GradientTransformation:
        return vector if optimizer.traits.elementwise and optax.tree.size(tree) < FLATTEN_BELOW else chain

    return optax.GradientTransformation(
        lambda params: optimizer_for(params).init(params),
        lambda updates, state, params: optimizer_for(updates).update(updates, state, params),
    )
