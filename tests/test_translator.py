"""The translator of a run, and errors of runs that cannot be loaded."""

import shutil
from functools import partial

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attn_research.config import Config, Decode
from attn_research.data.batching import MAX_ROWS, MAX_SYMBOLS, MIN_SIZE, bucket_sources, max_length, padded_length
from attn_research.decoding.outputs import MEMORY, fits, length_limits, rows_at_once
from attn_research.models.seq2seq import Seq2Seq, init_parameters
from attn_research.translator import load

LINES = ["a b c", "d e", "e", "c a b d e c a b d e a", "b b"]


@pytest.fixture(scope="module")
def translator(run):
    return load(run, {"decode.beam": 2, "decode.ratio": 1.0, "decode.extra": 2})


@given(st.lists(st.integers(1, 2 * MAX_SYMBOLS), max_size=3 * MAX_ROWS))
def test_every_source_is_in_one_bucket_that_fits_it(lengths):
    actual = bucket_sources(lengths)
    assert sorted(row for bucket in actual for row in bucket.rows) == list(range(len(lengths)))
    for bucket in actual:
        most = max(lengths[row] for row in bucket.rows)
        assert most <= bucket.length == padded_length(most) <= max(MIN_SIZE, 1.5 * most)
        assert len(bucket.rows) <= bucket.size <= MAX_ROWS
        assert bucket.size == 1 or bucket.size * bucket.length <= MAX_SYMBOLS


def test_few_shapes_cover_all_lengths():
    assert len({padded_length(length) for length in range(1, 1000)}) <= 15
    sizes = {bucket.size for count in range(1, 200) for bucket in bucket_sources([5] * count)}
    assert sizes == {8, 16, 32, 64}


def test_neither_the_batch_nor_the_order_changes_an_output(translator):
    together, order = translator.n_best(LINES), [3, 0, 4, 2, 1]
    moved = translator.n_best([LINES[row] for row in order])
    for line, actual, other in zip(LINES, together, (moved[order.index(row)] for row in range(5)), strict=True):
        for same in (other, translator.n_best([line])[0]):
            assert [one.output for one in same] == [one.output for one in actual]
            for a, b in zip(same, actual, strict=True):
                assert a.source == b.source == line.split()
                assert a.log_probability == pytest.approx(b.log_probability, abs=1e-4)
                np.testing.assert_allclose(a.weights, b.weights, atol=1e-5)


def test_text_is_split_and_symbol_lists_are_not(translator):
    lines = translator.translate(["a b c", ["a", "b", "c"], list("abc"), ("a b", "c")])
    assert [one.source for one in lines] == [["a", "b", "c"]] * 3 + [["a b", "c"]]
    assert lines[0].output == lines[1].output


@given(st.lists(st.integers(1, 2000), max_size=MAX_ROWS), st.integers(1, 100), st.floats(0, 10))
def test_no_bucket_takes_more_memory_than_a_search_may(lengths, beam, ratio):
    decode = Decode(beam=beam, ratio=ratio)
    lengths = [length for length in lengths if length <= max_length(partial(fits, decode))]
    for bucket in bucket_sources(lengths, partial(rows_at_once, decode)):
        steps = length_limits(decode, bucket.length)[-1]
        assert 4 * bucket.size * beam * steps * bucket.length <= MEMORY


def test_a_source_longer_than_memory_allows_is_reported(run):
    translator = load(run, {"decode.beam": 100})
    most = max_length(partial(fits, translator.config.decode))
    assert 300 < most < 1000
    message = (
        f"source 1 has {most + 1} symbols, but at most {most} fit into the memory of a search with decode.beam 100"
    )
    with pytest.raises(ValueError, match=message):
        translator.translate([["a"], ["a"] * (most + 1)])


@pytest.mark.parametrize(
    ("sentences", "message"),
    [
        ("a b c", r"sentences is a string; write a list, as in translate\(\['a b c'\]\)"),
        (["a", []], "source 1 has no symbols"),
        ([[1, 2]], "source 0 has 1 among its symbols, which must be strings"),
    ],
)
def test_an_invalid_source_is_reported(translator, sentences, message):
    with pytest.raises(ValueError, match=message):
        translator.translate(sentences)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"decode.beam": 0}, "config field 'decode.beam' is 0, but must be at least 1"),
        ({"decode.beams": 2}, "'decode.beams' cannot be changed in a trained run; .* did you mean decode.beam?"),
        ({"model.embedding": 7}, "'model.embedding' cannot be changed in a trained run; known: decode.beam, "),
    ],
)
def test_an_invalid_change_is_reported(run, changes, message):
    with pytest.raises(ValueError, match=message):
        load(run, changes)


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        ("checkpoints", "holds no trained run"),
        ("checkpoints/best/1", "holds no trained run"),
        ("config.json", "has no config.json"),
        ("vocabulary_target.json", "has no vocabulary_target.json"),
    ],
)
def test_missing_files_of_a_run_are_reported(run, tmp_path, lost, message):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / lost).rename(tmp_path / "lost")
    with pytest.raises(ValueError, match=f"{tmp_path / 'run'} {message}"):
        load(tmp_path / "run")


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "Expecting"), ("[]", "'items'"), ('{"model.embeding": 5}', "did you mean model.embedding")],
)
def test_an_invalid_config_is_reported(run, tmp_path, text, message):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "config.json").write_text(text)
    with pytest.raises(ValueError, match=rf"config\.json is (damaged|not the config of a run): .*{message}"):
        load(tmp_path / "run")


def test_loading_does_not_compile_a_random_initialization(run):
    compiled = []

    def listen(event, seconds, fun_name="", **_):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(fun_name)

    jax.monitoring.register_event_duration_secs_listener(listen)
    jax.clear_caches()
    try:
        load(run)
        assert not any("init_parameters" in name for name in compiled)
        init_parameters(Seq2Seq(Config().model, 9, 8), 0)
        assert any("init_parameters" in name for name in compiled)
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
