"""The command `translate`, with a run that was not trained."""

import json

import jax
import jax.numpy as jnp
import pytest
from small_models import SIZES, parameters

from attn_research.cli import main
from attn_research.config import Config, flat, override
from attn_research.data.vocab import Vocabulary
from attn_research.models.seq2seq import Seq2Seq
from attn_research.training.checkpoint import Checkpoints
from attn_research.training.step import TrainState
from attn_research.translator import load


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The directory of a run that was not trained, and two lines to translate."""
    directory = tmp_path_factory.mktemp("run")
    config = override(Config(), SIZES | {"data.task": "reverse", "model.attention.score": "general"})
    vocabulary = Vocabulary(tuple("abcde"))
    one = Seq2Seq(config.model, len(vocabulary), len(vocabulary))
    (directory / "config.json").write_text(json.dumps(flat(config)))
    for side in ("source", "target"):
        vocabulary.save(directory / f"vocabulary_{side}.json")
    state = TrainState(parameters(one, 0), (), jnp.int32(1), jax.random.PRNGKey(0), jnp.float32(1))
    Checkpoints(directory / "checkpoints").save(1, state, {"best_step": 1})
    (directory / "lines.txt").write_text("a b c\nd e\n")
    return directory


def translate(run, *words: str) -> int:
    return main(["translate", str(run), "--input", str(run / "lines.txt"), *words])


def test_translating_with_a_beam(run, capsys):
    assert translate(run, "--beam", "3") == 0
    best = capsys.readouterr().out.splitlines()
    assert translate(run, "--beam", "3", "--nbest") == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [number for number, _, _ in lines] == ["1"] * 3 + ["2"] * 3
    assert [lines[0][2], lines[3][2]] == best
    for n_best in (lines[:3], lines[3:]):
        scores_of = [float(score) for _, score, _ in n_best]
        assert scores_of == sorted(scores_of, reverse=True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--beam 0", "config field 'decode.beam' is 0, but must be at least 1"),
        ("--beam two", "argument --beam: invalid int value: 'two'"),
        ("--nbest", "--nbest lists the hypotheses of a beam, and greedy search has one; it needs --beam 2 or more"),
        ("--length-penalty wu", "decode.length_penalty 'wu' has no effect with decode.beam 1"),
        ("--beam 2 --length-penalty wuu", "unknown length penalty 'wuu'; known: average, none, wu; did you mean wu?"),
    ],
)
def test_a_wrong_search_is_one_sentence(run, words, said, capsys):
    try:
        status = translate(run, *words.split())
    except SystemExit as end:
        status = end.code
    captured = capsys.readouterr()
    assert (status, captured.out) == (2, "")
    assert captured.err.count("\n") == 1
    assert said in captured.err


def test_loading_compiles_nothing(run):
    compiled = []

    def listen(event, seconds, **_):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(event)

    load(run)
    jax.monitoring.register_event_duration_secs_listener(listen)
    jax.clear_caches()
    try:
        load(run)
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert not compiled
