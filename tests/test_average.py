"""Translation with averaged checkpoints."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_models import write_untrained_run

from attn_research.cli import main
from attn_research.training.checkpoint import Checkpoints
from attn_research.training.step import TrainState
from attn_research.translator import load


def test_a_translator_averages_checkpoints(tmp_path, capsys):
    directory = write_untrained_run(tmp_path / "run")
    (first,) = load(directory).params
    state = TrainState(
        jax.tree.map(lambda leaf: leaf + 1, first), (), jnp.int32(2), jax.random.PRNGKey(0), jnp.float32(1)
    )
    Checkpoints(directory / "checkpoints").save(2, state, {"best_step": 1})
    (mean,) = load(directory, average="last:2").params
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b + 0.5, rtol=1e-6, atol=1e-6), mean, first)
    expected = load(directory, average="last:2").translate(["a b c", "d e"])
    words = ["translate", str(directory), "--input", str(directory / "lines.txt"), "--average"]
    assert main([*words, "last:2"]) == 0
    assert capsys.readouterr().out.splitlines() == [" ".join(one.output) for one in expected]
    assert main([*words, "best:2"]) == 2
    assert "best has 1 checkpoints, but the average needs 2" in capsys.readouterr().err


@pytest.mark.parametrize("average", ["last", "last:1", "newest:3", "best:-2", "best:x"])
def test_an_invalid_average_is_one_sentence(run, average):
    with pytest.raises(ValueError, match=r"average is .* but must be last:N or best:N with N at least 2"):
        load(run, average=average)
