"""Our searches on a workload; their outputs are kept for the comparison."""

from pathlib import Path

import jax
import numpy as np

from attn_research.config import Decode
from attn_research.decoding.search import make_search
from attn_research.models.seq2seq import first_parameters
from attn_research.sweeps.cache import enable_compilation_cache
from benchmarks import ours, same
from benchmarks.question import Ready
from benchmarks.workloads import WORKLOADS, make_batch, make_config

DECODE = Decode(ratio=1.0, extra=4)


def search(directory: Path, workload: str, score: str, beam: int) -> Ready:
    """Greedy search with a beam of 1."""
    enable_compilation_cache()
    sizes = WORKLOADS[workload]
    config = make_config(sizes, score, "attentional")
    model = ours.make_model(sizes, config)
    params = first_parameters(model, config.seed)
    find = make_search(Decode(DECODE.ratio, DECODE.extra, beam))

    @jax.jit
    def outputs(params, source, lengths):
        found = find(model.apply(params, source, lengths), source.shape[1], lengths).hypothesis(0)
        return found.symbols.T, found.log_probability

    batch = make_batch(sizes, ragged=False)
    run = lambda: jax.device_get(outputs(params, batch.source, batch.source_lengths))  # noqa: E731
    symbols, log_probability = run()
    same.write(directory, parameters=ours.by_name(params), outputs={"symbols": symbols, "log p": log_probability})
    return Ready(run, {"lengths": float(np.mean((symbols > 0).sum(1)))})
