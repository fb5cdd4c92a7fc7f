"""Windows: which source positions a target step may look at.

A window has a score's form: `window(param, keys, query_size, **hyper)` returns a function `(query [b q], history) ->
visible [b s], reweigh`: True where the step may look, and what is done to the weights [b s] after they are normalised.
Without a window (Luong's "global") every real position is visible.
"""

from attn_research.registry import Registry

# mass: what the weights of a step sum to: "one" (unless nothing is visible), or "at most one"; the others as for
# normalisers.
windows = Registry("window", mass="one", positional=True, remembers=False, random=False, exact_gradient=True)
