"""The AER along the references covers all items and is never mixed with that of free outputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known_records import record
from small_models import LENGTHS, SIZES, batch, parameters

from attn_research.config import Config, Data, override
from attn_research.data.task import from_columns, load, tasks
from attn_research.data.vocab import EOS, PAD
from attn_research.decoding.outputs import Outputs
from attn_research.metrics import METRICS
from attn_research.models.seq2seq import Seq2Seq
from attn_research.registry import Spec
from attn_research.reports.tables import Table
from attn_research.runs.records import pack
from attn_research.training.evaluate import EvalOutput, evaluate, make_eval_step
from attn_research.training.prepare import prepare


@tasks.register(symbols="words")
def aligned(raw: bool = False):
    """Three items of two symbols with gold alignments, and with lines for BLEU if `raw`."""
    columns = {"source": [["a", "b"]] * 3, "target": [["x", "y"]] * 3, "alignment": [[[0, 0], [1, 1]]] * 3}
    columns |= {"raw": [["x y"]] * 3} if raw else {}
    return from_columns(dict.fromkeys(("train", "dev", "test"), columns))


@tasks.register
def misaligned():
    """An alignment with a symbol outside the target."""
    columns = {"source": [["a"]], "target": [["x"]], "alignment": [[[0, 1]]]}
    return from_columns(dict.fromkeys(("train", "dev", "test"), columns))


def fake_eval_step(vocabulary, attends):
    """Outputs `x y`, `x` and `x y y`. Along the references, one weight is wrong: the second item's second step."""
    x, y = vocabulary.encode("xy")
    symbols = np.array([[x, y, EOS, PAD], [x, EOS, PAD, PAD], [x, y, y, EOS]]).T
    weights = np.zeros((4, 3, 2 * attends))
    if attends:
        weights[:, :, 1] = 1
    attended = np.array([[0, 1, 0], [0, 0, 0], [0, 1, 0]]).T if attends else None
    outputs = Outputs(symbols, weights, np.array([3, 2, 4]), np.zeros(3), np.zeros(3))
    return lambda params, batch: EvalOutput(np.zeros(3), np.zeros(3), np.zeros(3, int), None, outputs, attended)


@pytest.mark.parametrize("raw", [False, True])
def test_reference_aer_counts_every_item_also_next_to_bleu(raw):
    data = prepare(Data(task=Spec(f"test_aer:aligned(raw={raw})"), shapes=1))
    actual = evaluate(fake_eval_step(data.target, True), None, data.splits["test"], data.target, 3, Config().decode)
    assert ("bleu" in actual.metrics) == raw
    assert actual.items["aer"][1].tolist() == [4, 4, 4] and actual.metrics["aer"] == pytest.approx(2 / 12)
    assert actual.items["aer_free"][1].tolist() == [4, 0, 0] and actual.metrics["aer_free"] == pytest.approx(2 / 4)
    without = evaluate(
        fake_eval_step(data.target, False), None, data.splits["test"], data.target, 3, Config().decode
    ).metrics
    assert {"aer", "aer_free", "entropy"}.isdisjoint(without)


def test_reference_aer_reads_the_weights_of_forced_steps():
    config = override(Config(), SIZES | {"model.attention.score": "general"})
    one = Seq2Seq(config.model, 11, 9)
    params, inputs = parameters(one, 3), batch()

    @jax.jit
    def teacher_forced_weights(params, inputs):
        return one.apply(params, inputs.source, inputs.source_lengths).teacher_force(inputs.target)[1]

    output = make_eval_step(one, config.decode, aligned=True)(params, inputs).attended
    np.testing.assert_array_equal(output, jnp.argmax(teacher_forced_weights(params, inputs), -1))
    assert (np.asarray(output) < np.maximum(LENGTHS, 1)).all() and len(np.unique(output)) > 1
    assert jax.eval_shape(make_eval_step(one, config.decode), params, inputs).attended is None


def test_an_alignment_outside_its_item_is_rejected():
    with pytest.raises(
        ValueError, match="split 'train' of task test_aer:misaligned: item 0 aligns source symbol 0 with target"
    ):
        load(Spec("test_aer:misaligned"))


def make_split(**errors):
    """Returns a test split with one error in `errors[name]` of ten items; `aer_free` skips two items."""
    metrics, items = {}, {}
    for name, wrong in errors.items():
        parts = np.arange(10) < wrong, np.ones(10) * (np.arange(10) >= (2 if "free" in name else 0))
        metrics[name] = METRICS[name].value(*parts)
        items[name] = dict(zip("nd", map(pack, parts), strict=True))
    return {"metrics": metrics, "items": items, "ceiling": None}


def build_table(*splits, column="test/aer"):
    rows = {"dot": [record("dot", seed, test=split) for seed, split in enumerate(splits)]}
    return Table("model.attention.score", (column,)).build(rows)


NEW, OLD = make_split(aer=1, aer_free=4), make_split(aer=5)


def test_new_records_show_the_reference_aer():
    table = build_table(NEW, NEW, NEW)
    assert table.columns[0].header == "test AER, % ↓" and table.rows["dot"][0].value == pytest.approx(0.1)
    assert not any("free" in note for note in table.notes)
    free = build_table(NEW, NEW, NEW, column="test/aer_free")
    assert free.columns[0].header == "test AER of free outputs, % ↓"
    assert (
        "test AER of free outputs covers the items whose output is as long as its reference (80.0 % of a row's items)."
        in free.notes
    )


@pytest.mark.parametrize(
    ("splits", "value", "message"),
    [((OLD, OLD, OLD), 0.5, "the records"), ((OLD, NEW, NEW), (0.5 + 0.5 + 0.5) / 3, "1 of 3 records")],
)
def test_a_table_with_an_old_record_shows_the_free_aer_and_a_note(splits, value, message):
    table = build_table(*splits)
    assert table.columns[0].header == "test AER of free outputs, % ↓"
    assert table.rows["dot"][0].value == pytest.approx(value)
    assert any(note.endswith(f"{message} have no AER under teacher forcing.") for note in table.notes)
    assert table.render("csv").startswith("row,test/aer_free,")


def test_a_published_aer_moves_with_its_column():
    rows = {"dot": [record("dot", seed, test=OLD) for seed in range(3)]}
    table = Table("model.attention.score", ("test/aer",)).build(rows, {("Somebody 2014", "test/aer"): ("12.5", "A-1")})
    assert table.published["Somebody 2014"][0].value == pytest.approx(0.125)
