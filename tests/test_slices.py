"""Slices of a split by attributes of its items: columns, tables and curves."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from fake_runs import make_record
from hypothesis import given
from hypothesis import strategies as st
from known_records import record, split
from user_folder import user_folder  # noqa: F401 (a fixture)

from attn_research.cli import main
from attn_research.config import Config, digest, override
from attn_research.errors import UserError
from attn_research.reports.axes import Curve, slice_lines, to_csv
from attn_research.reports.cells import filter_task
from attn_research.reports.claims import Claim, above, better, judge
from attn_research.reports.columns import column
from attn_research.reports.slices import MAX_BINS, bins, parse_conditions, select_items
from attn_research.reports.tables import Table
from attn_research.runs import records
from attn_research.sweeps.expand import load_experiment

LENGTHS = np.arange(100) % 10 + 1
STYLES = np.where(LENGTHS % 2, "long", "short")


def sliced_split(right):
    """Returns the record of a split with 100 items and their attributes."""
    packed = records.pack_attributes({"length": LENGTHS.tolist(), "style": STYLES.tolist()})
    return split(right) | {"attributes": packed}


def rows(*rights):
    """Returns a row with a record for each list of right items."""
    return {"dot": [record(seed=seed, test=sliced_split(right)) for seed, right in enumerate(rights)]}


RIGHT = st.lists(st.booleans(), min_size=100, max_size=100).map(np.array)


@given(RIGHT)
def test_a_slice_is_the_metric_of_its_items(right):
    for text, inside in (
        ("length>7", LENGTHS > 7),
        ("length<=7", LENGTHS <= 7),
        ("length>=3, length<5", (LENGTHS >= 3) & (LENGTHS < 5)),
        ("style=long", STYLES == "long"),
        ("style!=long,length=1", LENGTHS == 1 if "long" not in STYLES[LENGTHS == 1] else None),
    ):
        if inside is not None:
            comparison = column(f"test[{text}]/exact").comparison(rows(right))
            assert comparison.means["dot"] == pytest.approx(right[inside].mean())


@given(RIGHT, RIGHT)
def test_a_difference_of_slices_is_how_much_better_the_first_one_is(first_run, second_run):
    both = rows(first_run, second_run)
    easy, hard = (column(f"test[{text}]/exact").comparison(both).means["dot"] for text in ("length<=3", "length>7"))
    for metric in ("exact", "wer"):
        one = column(f"test[length<=3 minus length>7]/{metric}")
        assert one.comparison(both).means["dot"] == pytest.approx(easy - hard)
        assert one.header.endswith("↓") and "test (length<=3 minus length>7)" in one.header


def test_a_difference_of_slices_pairs_the_seeds():
    rng = np.random.default_rng(0)
    level = np.array([0.2, 0.5, 0.8])  # of each seed, on all items
    rights = [rng.random(100) < share for share in level]
    one = column("test[length<=5 minus length>5]/exact")
    test = one.comparison(rows(*rights)).difference_test("dot", 0.0)
    means = [right[LENGTHS <= 5].mean() - right[LENGTHS > 5].mean() for right in rights]
    assert test.mean == pytest.approx(np.mean(means))
    assert test.error**2 >= np.var(means, ddof=1) / 3  # and the variance over items is added
    assert test.error < level.std(ddof=1)


def test_a_claim_may_say_that_a_row_falls_with_length():
    rng = np.random.default_rng(0)
    falls = [rng.random(100) < np.where(LENGTHS > 5, 0.1, 0.9) for _ in range(3)]
    stays = [rng.random(100) < 0.9 for _ in range(3)]
    both = rows(*falls) | {"general": [record("general", s, test=sliced_split(right)) for s, right in enumerate(stays)]}
    drop = "test[length<=5 minus length>5]/exact"
    claims = [Claim("falls", above("dot", drop, 0.0)), Claim("falls less", better("general", "dot", drop))]
    assert [judged.verdict for judged in judge(claims, both)] == ["holds", "holds"]


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=200).map(np.array))
def test_bins_hold_every_item_once(values):
    attributes = {"attributes": records.pack_attributes({"size": values.tolist()})}
    masks = [select_items(attributes, conditions) for conditions in bins("size", values)]
    assert len(masks) <= MAX_BINS
    assert np.all(np.sum(masks, axis=0) == 1)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("test[lenght>3]/exact", "the items have no attribute 'lenght'; known: length, style; did you mean length?"),
        ("test[length>30]/exact", "no item has length>30; length is 1 to 10"),
        ("test[length>3, length<3]/exact", "no item has length>3, length<3"),
        ("test[style=lang]/exact", "no item has style=lang; style is one of long, short"),
        ("test[style>long]/exact", "style>long orders style, which is text: use = or !=; known: long, short"),
        ("test[length=x]/exact", "length=x compares length with 'x', which is no number"),
        ("test[length]/exact", "'length' is not of the form attribute>value, as in length>20 or style=long"),
        ("test[length>3 minus]/exact", "length>3 minus compares length with '3 minus', which is no number"),
        ("test[length<3 minus length>30]/exact", "no item has length>30; length is 1 to 10"),
        ("test[]/exact", "'' is not of the form attribute>value, as in length>20 or style=long"),
    ],
)
def test_a_wrong_slice_is_reported_in_one_sentence(name, message):
    with pytest.raises(UserError) as error:
        column(name).comparison(rows(np.ones(100)))
    assert str(error.value).startswith(message)


def test_conditions_print_as_they_are_written():
    assert [str(one) for one in parse_conditions("length > 3,style=a b")] == ["length>3", "style=a b"]


def test_records_without_attributes_are_left_out_and_named():
    old = record(seed=1, test=split(np.zeros(100)))
    mixed = {"dot": [*rows(np.ones(100))["dot"], old]}
    table = Table("model.attention.score", ("test[length>5]/exact",)).build(mixed)
    assert table.rows["dot"][0].value == 1.0
    assert "1 records lack the attributes or the metric of every item and are left out of slices." in table.notes
    with pytest.raises(UserError, match=r"no record has what 'test\[length>5\]/exact' needs"):
        column("test[length>5]/exact").comparison({"dot": [old]})


def test_a_task_prefix_may_have_options():
    tasks = ("recall(longest=4)", "recall(longest=8)", "reverse", "recall(longest=8, train=50)")
    found = {"": [make_record(override(Config(), {"data.task": task})) for task in tasks]}

    def selected(prefix):
        return [str(one["config"]["data.task"]) for one in filter_task(found, prefix)[""]]

    assert selected("recall(longest=8)") == [tasks[1], tasks[3]]
    assert selected("recall(longest=8, train=10_000)") == [tasks[1]]
    assert selected("recall") == [tasks[0], tasks[1], tasks[3]]
    assert column("recall(longest=8):test/exact").task == "recall(longest=8)"


def test_a_column_may_be_a_config_field():
    one = column("train.learning_rate")
    found = [make_record(override(Config(), {"train.learning_rate": rate})) for rate in (0.1, 0.2)]
    cells = one.cells({"a": found[:1], "b": found})
    assert [(cell.value, cell.text) for cell in cells.values()] == [(0.1, "0.1"), (None, "0.1, 0.2")]


def test_slices_of_a_line_follow_the_attribute():
    right = LENGTHS <= 5
    points = slice_lines("test/exact", rows(right, right, right), "length")["dot"]
    assert (points[0].mean, points[-1].mean) == (1.0, 0.0)
    assert [point.x for point in points] == sorted(point.x for point in points)
    assert all(point.interval[0] <= point.mean <= point.interval[1] for point in points)


@pytest.fixture
def runs(user_folder):  # noqa: F811
    """Writes records with attributes for all runs of small.py."""
    for number, config in enumerate(load_experiment("small.py").runs):
        right = np.arange(100) % 7 < number % 5 + 1
        splits = dict.fromkeys(("dev", "test"), sliced_split(right))
        records.write(Path("runs") / digest(config), make_record(config, splits=splits))


def test_a_table_by_an_attribute(runs, capsys):
    assert main(["table", "small.py", "--by", "length"]) == 0
    page = capsys.readouterr().out
    assert "test (length\\>=1, length\\<=2) exact match" in page
    assert main(["table", "small.py", "--by", "style", "--metric", "test/wer", "--format", "csv"]) == 0
    assert "test[style=long]/wer" in capsys.readouterr().out
    assert Path("runs/reports/small-by-style.csv").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--by", "size"], "the items have no attribute 'size'; known: length, style"),
        (["--by", "length", "--metric", "parameters"], "'parameters' is not a metric, as test/exact is"),
        (["--by", "length", "--metric", "test[length>2]/exact"], "'test[length>2]/exact' is a slice already"),
        (["--by", "length", "--metric", "tset/exact"], "no record has the attributes of the items of 'tset'"),
        (["--metric", "test/exact"], "--metric needs --by"),
    ],
)
def test_a_wrong_attribute_is_reported(runs, capsys, arguments, message):
    assert main(["table", "small.py", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def curve_records():
    """Returns records of two scores at two sizes with three seeds: right is the share of right items."""
    found = {}
    for score, shares in (("dot", (0.5, 1.0)), ("general", (0.25, 0.75))):
        for hidden, share in zip((8, 16), shares, strict=True):
            for seed in range(3):
                changes = {"model.attention.score": score, "model.decoder.hidden": hidden, "seed": seed}
                config = override(Config(), changes)
                found[config] = make_record(config, splits={"test": sliced_split(np.arange(100) < 100 * share)})
    return found


def test_a_curve_has_a_point_per_row_and_value():
    curve = Curve("model.decoder.hidden", "test/exact", rows="model.attention.score")
    lines = curve.lines(curve_records(), label=None)
    assert {label: [(point.x, point.mean) for point in points] for label, points in lines.items()} == {
        "dot": [(8, 0.5), (16, 1.0)],
        "general": [(8, 0.25), (16, 0.75)],
    }
    text = list(csv.DictReader(io.StringIO(to_csv({"sizes": lines}, "hidden"))))
    assert [float(line["mean"]) for line in text] == [0.5, 1.0, 0.25, 0.75]
    assert {(line["panel"], line["row"], line["hidden"]) for line in text} >= {("sizes", "dot", "8")}


def test_the_points_of_a_curve_differ_only_in_the_seed():
    found = curve_records()
    with pytest.raises(UserError, match="differ not only in the seed, but also in model"):
        Curve("model.decoder.hidden", "test/exact", rows=lambda config: "all").lines(found, None)
    with pytest.raises(UserError, match="the x of a curve is 'lstm', but must be a number"):
        Curve("model.encoder.cell", "test/exact").lines(found, label=lambda config: "x")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("model.hidden", "test/exact"), "a curve has 'model.hidden', which is no config field; .*"),
        (("seed", "test/exact", "scores"), "a curve has 'scores', which is no config field; .*"),
        (("seed", "parameters"), "'parameters' is not a metric, as test/exact is"),
    ],
)
def test_a_wrong_curve_is_reported(arguments, message):
    with pytest.raises(UserError, match=f"^{message}$"):
        Curve(*arguments)


def test_a_figure_by_an_attribute_and_its_numbers(runs, capsys):
    assert main(["figure", "small.py", "--by", "length", "--metric", "test/wer"]) == 0
    paths = capsys.readouterr().out.split()
    assert paths == [f"runs/reports/small-by-length.{suffix}" for suffix in ("png", "pdf", "svg", "csv")]
    lines = list(csv.DictReader(io.StringIO(Path(paths[-1]).read_text())))
    assert {line["row"] for line in lines} == {"dot", "general"}
    assert all(float(line["low"]) <= float(line["mean"]) <= float(line["high"]) for line in lines)


def test_a_figure_of_the_curves_that_an_experiment_declares(runs, capsys):
    assert main(["figure", "small.py", "--axes"]) == 2
    assert "small.py declares no curves" in capsys.readouterr().err
    text = Path("small.py").read_text() + "\nfrom attn_research.reports.axes import Curve\n"
    text += 'curves = (Curve("model.decoder.hidden", "test/exact", title="size"),)\n'
    Path("small.py").write_text(text)
    assert main(["figure", "small.py", "--axes"]) == 0
    lines = list(csv.DictReader(io.StringIO(Path("runs/reports/small-axes.csv").read_text())))
    assert {(line["panel"], line["row"], line["x"]) for line in lines} == {
        ("size", "dot", "64"),
        ("size", "general", "64"),
    }
