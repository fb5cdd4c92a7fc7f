"""Sampling: draws every symbol from the model's distribution instead of taking the likeliest one.

`sampling(logits [b n], items [b], number, t, **hyper) -> symbols [b]`. The logits are -inf for symbols that the limits
of the search forbid. A sample must depend on its item, its number among the samples of that item, and the step t, but
not on the batch.
"""

from typing import Annotated

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from attn_research.annotations import Factor, Range, Seed
from attn_research.registry import Registry

samplings = Registry("sampling")

Rank = Annotated[int, Range(minimum=1)]
Mass = Annotated[float, Range(above=0, below=1)]


@samplings.register
def sample(
    logits: Float[Array, "b n"],
    items: Int[Array, " b"],
    number: Int[Array, ""],
    t: Int[Array, ""],
    temperature: Factor = 1.0,
    top_k: Rank | None = None,
    top_p: Mass | None = None,
    seed: Seed = 0,
) -> Int[Array, " b"]:
    """y ~ softmax(logits / temperature).

    `top_k` keeps the k likeliest symbols (Fan et al. 2018). `top_p` keeps the fewest symbols, the likeliest first, with
    at least this probability after `top_k` (Holtzman et al. 2020). A sample is a function of the seed, the item's
    number, the number of the sample and the step.
    """
    keys = jax.vmap(lambda item: _fold(seed, item, number, t))(items)
    logits, symbols = _truncate(logits / temperature, top_k, top_p)
    drawn = jax.vmap(jax.random.categorical)(keys, logits)
    return drawn if symbols is None else jnp.take_along_axis(symbols, drawn[:, None], -1)[:, 0]


def _fold(seed: int, *numbers: Int[Array, ""]) -> Array:
    key = jax.random.PRNGKey(seed)
    for one in numbers:
        key = jax.random.fold_in(key, one)
    return key


def _truncate(
    logits: Float[Array, "b n"], top_k: int | None, top_p: float | None
) -> tuple[Float[Array, "b k"], Int[Array, "b k"] | None]:
    """Returns the logits of the likeliest symbols, in descending order, and these symbols; None for all in order."""
    if top_k is None and top_p is None:
        return logits, None
    n = logits.shape[-1]
    largest, symbols = jax.lax.top_k(logits, n if top_k is None else min(top_k, n))
    if top_p is not None:
        probability = jax.nn.softmax(largest)
        before = jnp.cumsum(probability, -1) - probability  # of the likelier symbols; 0 for the first one
        largest = jnp.where(before < top_p, largest, -jnp.inf)
    return largest, symbols
