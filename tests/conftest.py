"""What holds in every test: no accelerator, no silent broadcasting between ranks, the same examples every time."""

import os

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["JAX_NUMPY_RANK_PROMOTION"] = "raise"

os.environ["JAX_COMPILATION_CACHE_DIR"] = ""  # what a test loads is not kept; programs that train choose their own

import hypothesis
import pytest

hypothesis.settings.register_profile("everywhere", deadline=None, derandomize=True, database=None, max_examples=200)
hypothesis.settings.load_profile("everywhere")
# Compile fast; nothing here is timed.
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """The directory of a run that was not trained; no test changes it."""
    from untrained import write_run

    return write_run(tmp_path_factory.mktemp("run"))
