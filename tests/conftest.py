"""Settings of all tests: CPU only, no implicit rank promotion, and the same hypothesis examples every time."""

import os

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["JAX_NUMPY_RANK_PROMOTION"] = "raise"

os.environ["JAX_COMPILATION_CACHE_DIR"] = ""  # no cache between tests; training processes choose their own

import hypothesis
import pytest

hypothesis.settings.register_profile("everywhere", deadline=None, derandomize=True, database=None, max_examples=200)
hypothesis.settings.load_profile("everywhere")
# Compiles quickly. No test measures time.
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """The directory of a run that was not trained. No test may change it."""
    from small_models import write_untrained_run

    return write_untrained_run(tmp_path_factory.mktemp("run"))
