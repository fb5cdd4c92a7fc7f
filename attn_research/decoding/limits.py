"""The limits of a search: which symbols a hypothesis may write next, and what a step remembers for that.

Probabilities stay those of the model: a limit forbids symbols and does not redistribute their probability.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from attn_research import config
from attn_research.data.vocab import EOS, PAD
from attn_research.decoding.outputs import writable
from attn_research.decoding.penalties import require_attention
from attn_research.models.session import Session


class HypothesisState(NamedTuple):
    """The state of a session, and what the options of the search read of earlier steps; None if no option does."""

    session: Any
    inputs: Int[Array, "b T"] | None  # symbols read so far, BOS first, then PAD; for n-grams
    coverage: Float[Array, "b s"] | None  # sum of the attention weights; for the coverage penalty


def start_state(session: Session, decode: config.Decode, first: Int[Array, " b"], steps: int) -> HypothesisState:
    """Returns the state before the first step.

    Args:
      first: BOS for every row.
      steps: the most symbols of an output.
    """
    weights = jax.eval_shape(session.step, session.start, first)[2]
    require_attention(decode, weights.shape[-1] > 0)
    inputs = jnp.full((len(first), steps), PAD, first.dtype) if decode.no_repeat_ngram_size else None
    coverage = jnp.zeros(weights.shape, weights.dtype) if decode.coverage_penalty else None
    return HypothesisState(session.start, inputs, coverage)


def make_step(session: Session, decode: config.Decode) -> Callable:
    """Returns `(HypothesisState, symbols [b], t) -> HypothesisState, logits [b n], choices [b n], weights [b s]`.

    The choices are the logits, with -inf for every symbol that a hypothesis may not write in step t.
    """

    def step(state: HypothesisState, symbols: Int[Array, " b"], t: Int[Array, ""]) -> tuple:
        session_state, logits, weights = session.step(state.session, symbols)
        inputs = None if state.inputs is None else state.inputs.at[:, t].set(symbols)
        coverage = None if state.coverage is None else state.coverage + weights
        choices = writable(logits)
        if inputs is not None:
            choices = forbid_repeats(choices, inputs, t, decode.no_repeat_ngram_size)
        if decode.min_length:
            choices = forbid_end(choices, t < decode.min_length)
        return HypothesisState(session_state, inputs, coverage), logits, choices, weights

    return step


def forbid_repeats(
    choices: Float[Array, "b n"], inputs: Int[Array, "b T"], t: Int[Array, ""], size: int
) -> Float[Array, "b n"]:
    """Sets every symbol to -inf that would end an n-gram of `size` symbols for the second time.

    Args:
      inputs: the symbols at 0 to t. BOS at 0 is part of no output, so no n-gram with it occurs again.
    """
    windows = inputs.shape[1] - size + 1
    if windows < 1:
        return choices
    last = jax.lax.dynamic_slice_in_dim(inputs, t - size + 2, size - 1, axis=1)  # the beginning of the next n-gram
    same = jnp.broadcast_to(jnp.arange(windows)[None] + size - 1 <= t, (len(inputs), windows))
    for j in range(size - 1):
        same &= inputs[:, j : j + windows] == last[:, j, None]
    repeated = jnp.where(same, inputs[:, size - 1 :], PAD)  # PAD is never a choice
    return choices.at[jnp.arange(len(inputs))[:, None], repeated].set(-jnp.inf)


def forbid_end(choices: Float[Array, "b n"], early: Array) -> Float[Array, "b n"]:
    """Sets EOS to -inf if it is early, except in a row without another choice."""
    others = choices.at[:, EOS].set(-jnp.inf)
    return jnp.where(early & (others > -jnp.inf).any(-1, keepdims=True), others, choices)
