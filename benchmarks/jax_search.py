"""The project's own greedy and beam search on a workload."""

import functools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from attn_research.config import Decode
from attn_research.data.vocab import EOS
from attn_research.decoding.search import make_search
from attn_research.models.seq2seq import init_parameters
from attn_research.runs.compilation_cache import enable_compilation_cache
from benchmarks import agreement, jax_training
from benchmarks.questions import PreparedSide
from benchmarks.workloads import WORKLOADS, make_batch, make_config

DECODE = Decode(ratio=1.0, extra=4)
SHARPER = 100.0
# (value of the bias of EOS, ragged sources?): first outputs that end anywhere, then the timed ones, which all end at
# their limit.
CASES = ((3.0, True), (0.0, False))


def sharpen(params: Any, ending: float) -> Any:
    """Scales the output layer, and sets the bias of EOS.

    Untrained models give all symbols nearly the same probability, so that rounding would decide which is best.
    """
    output = params["params"]["output"]
    output = {"W": SHARPER * output["W"], "b": output["b"].at[EOS].set(ending)}
    return {"params": params["params"] | {"output": output}}


def search(directory: Path, workload: str, score: str, beam: int) -> PreparedSide:
    """Prepares a search, greedy with a beam of 1, and writes its outputs for the comparison."""
    enable_compilation_cache()
    sizes = WORKLOADS[workload]
    config = make_config(sizes, score, "attentional")
    model = jax_training.make_model(sizes, config)
    first = init_parameters(model, config.seed)
    run_search = make_search(Decode(DECODE.ratio, DECODE.extra, beam))

    @jax.jit
    def outputs(params, source, lengths):
        items = jnp.arange(len(lengths), dtype=jnp.int32)
        best = run_search(model.apply(params, source, lengths), source.shape[1], lengths, items).hypothesis(0)
        return {"symbols": best.symbols.T, "log p": best.log_probability}

    groups = {}
    for ending, ragged in CASES:
        params, batch = sharpen(first, ending), make_batch(sizes, ragged)
        run = functools.partial(outputs, params, batch.source, batch.source_lengths)
        groups |= {f"parameters {ending}": jax_training.by_name(params), f"outputs {ending}": jax.device_get(run())}
    agreement.write(directory, **groups)
    return PreparedSide(lambda: jax.device_get(run()), {})
