"""What holds in every test: no accelerator, no silent broadcasting between ranks, the same examples every time."""

import os

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["JAX_NUMPY_RANK_PROMOTION"] = "raise"

import hypothesis

hypothesis.settings.register_profile("everywhere", deadline=None, derandomize=True, database=None, max_examples=200)
hypothesis.settings.load_profile("everywhere")
jax.config.update("jax_disable_most_optimizations", True)  # compile fast; nothing here is timed
