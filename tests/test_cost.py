"""The cost figure: the Pareto front, the axes, the labels, and `figure --cost` with fake runs."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from fake_runs import make_runs
from hypothesis import given, settings
from hypothesis import strategies as st
from known_records import first, record, split
from matplotlib.figure import Figure
from user_folder import user_folder  # noqa: F401 (a fixture)

from attn_research.cli import main
from attn_research.metrics import METRICS
from attn_research.reports import cost
from attn_research.reports.cost import cost_figure, cost_table, pareto_front
from attn_research.reports.labels import place_labels
from attn_research.reports.quality_axis import LogScale
from attn_research.reports.tables import Table
from attn_research.runs.committed import save_committed
from attn_research.runs.records import load_runs

TABLE = Table("model.attention.score", ("test/loss", "test/exact", "parameters"))
POINTS = st.lists(st.tuples(*[st.integers(0, 6).map(float)] * 2), max_size=12)


def dominates(a, b, lower_is_better):
    signed = [(x, y) if lower else (-x, -y) for x, y, lower in zip(a, b, lower_is_better, strict=True)]
    return all(x <= y for x, y in signed) and any(x < y for x, y in signed)


@given(POINTS, st.tuples(st.booleans(), st.booleans()))
def test_the_front_dominates_every_other_point_and_none_of_its_own(points, lower_is_better):
    front = pareto_front(points, lower_is_better)
    for i, point in enumerate(points):
        dominated = any(dominates(points[j], point, lower_is_better) for j in front)
        assert dominated == (i not in front)
    costs = [points[i][0] * (1 if lower_is_better[0] else -1) for i in front]
    assert costs == sorted(costs) and len(set(front)) == len(front)


def rows(number, **changes):
    """Returns rows of one record each; the quality of row i is i / number, and its cost is between 1 k and 2 k."""
    random = np.random.default_rng(0)
    return {
        f"row {i}": [record(test=split(first(i, number)), parameters=int(random.integers(1000, 2000)), **changes)]
        for i in range(number)
    }


def build(number, metric="test/exact", **changes):
    return cost_table(TABLE, "parameters", metric).build(rows(number, **changes))


@pytest.mark.parametrize("number", [1, 2, 15, 16, 60])
def test_a_figure_is_a_reproducible_png_pdf_and_svg(tmp_path, number):
    paths = cost_figure(build(number), tmp_path / "deep" / "v1.cost")
    assert [path.name for path in paths] == ["v1.cost.png", "v1.cost.pdf", "v1.cost.svg"]
    again = cost_figure(build(number), tmp_path / "v1.cost")
    assert [path.read_bytes() for path in paths] == [path.read_bytes() for path in again]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", *sorted(path.name for path in paths)]


def drawn_texts(monkeypatch, data, tmp_path):
    """Returns the texts in the plot, in bold or not, and those below it."""
    figures = []
    monkeypatch.setattr(cost, "save", lambda figure, *others: figures.append(figure))
    cost_figure(data, tmp_path / "cost")
    (axes,) = figures[0].axes
    labels = {text.get_text().replace("\n", " "): len(text.get_path_effects()) > 1 for text in axes.texts}
    return labels, [text.get_text() for text in figures[0].texts]


@pytest.mark.parametrize("number", [15, 16])
def test_labels_are_of_all_rows_or_of_the_front_the_best_and_the_worst(monkeypatch, tmp_path, number):
    data = build(number)
    labels, below = drawn_texts(monkeypatch, data, tmp_path)
    points = [(cells[1].value, cells[0].value) for cells in data.rows.values()]
    front = {f"row {i}" for i in pareto_front(points, (True, False))}
    assert {label for label, bold in labels.items() if bold} == front
    expected = set(data.rows) if number == 15 else front | {"row 0", f"row {number - 1}"}
    assert set(labels) == expected
    assert [text for text in below if text in data.rows] == [
        label for label in reversed(data.rows) if label not in labels
    ]


def test_rows_without_a_number_are_named(monkeypatch, tmp_path):
    some = rows(4)
    some["idle"] = [record(test=split(first(3, 4)))]
    some["row 0"][0] |= {"idle": False}
    labels, below = drawn_texts(monkeypatch, cost_table(TABLE, "ms", "test/exact").build(some), tmp_path)
    assert "row 0" not in labels and "idle" in labels
    assert "Not drawn, without one of the numbers: row 0." in " ".join(below)


def test_a_figure_without_rows_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="no row has both test/exact and peak_memory, so there is nothing to draw"):
        cost_figure(cost_table(TABLE, "peak_memory", "test/exact").build(rows(3)), tmp_path / "cost")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("columns", "arguments", "expected"),
    [
        (("seeds", "test/entropy", "test/wer", "test/exact"), ("ms",), ("test/wer", "ms")),
        (("reverse:test/exact",), ("ms",), ("reverse:test/exact", "reverse:ms")),
        (("reverse:test/exact",), ("dates:ms",), ("reverse:test/exact", "dates:ms")),
        (("test/exact",), ("parameters", "dev/wer"), ("dev/wer", "parameters")),
    ],
)
def test_the_columns_of_a_cost_table(columns, arguments, expected):
    assert cost_table(Table("seed", columns), *arguments).columns == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("seeds",), "--cost is 'seeds'; known: "),
        (("parametres",), "did you mean parameters?"),
        (("ms", "test/entropy"), "--metric is 'test/entropy', but must be a metric that has a better end; known: "),
        (("ms", "parameters"), "--metric is 'parameters', but must be a metric"),
        (("ms", "test/exat"), "did you mean exact?"),
    ],
)
def test_columns_that_cannot_be_drawn_are_rejected(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        cost_table(TABLE, *arguments)


def test_a_table_without_a_metric_needs_one():
    with pytest.raises(ValueError, match="the table has no column of a metric"):
        cost_table(Table("seed", ("seeds",)), "ms")


@given(st.lists(st.floats(0, 100), min_size=2, max_size=20), st.sampled_from(["exact", "wer"]))
def test_a_logarithmic_axis_keeps_the_order_and_shows_every_row(values, name):
    scale = LogScale.of(values, METRICS[name])
    if scale is None:
        return
    forward, inverse = scale.functions()
    ordered = np.array(sorted(values))
    assert (np.diff(forward(ordered)) >= 0).all()
    np.testing.assert_allclose(inverse(forward(ordered)), ordered, atol=1e-6)
    axes = Figure().subplots()
    axes.plot([0] * len(values), values)
    scale.apply(axes)
    low, high = axes.get_ylim()
    assert low <= ordered[0] and ordered[-1] <= high
    assert all(0 <= tick <= 100 for tick in axes.get_yticks())


def test_an_axis_is_logarithmic_if_that_tells_good_rows_apart():
    assert LogScale.of([99.9, 99.8, 99.5, 98.0, 20.0], METRICS["exact"])
    assert not LogScale.of([100.0, 20.0, 15.0, 10.0, 5.0], METRICS["exact"])
    assert not LogScale.of([21.0, 22.0, 24.0], METRICS["bleu"])
    assert not LogScale.of([1.0, 2.0, 40.0], METRICS["loss"])  # it has no upper bound


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=12, unique=True))
def test_labels_do_not_overlap(anchors):
    figure = Figure(figsize=(7, 4.2))
    axes = figure.subplots()
    axes.set(xlim=(-1, 21), ylim=(-1, 21))
    points = np.array(anchors, float)
    labels = [axes.text(*point, f"score={i}" * (1 + i % 2), size=7.5) for i, point in enumerate(points)]
    figure.draw_without_rendering()
    place_labels(axes, labels, points, points, points[:0])
    boxes = [label.get_window_extent() for label in labels]
    assert not [pair for pair in itertools.combinations(boxes, 2) if pair[0].overlaps(pair[1])]
    frame = axes.get_window_extent().padded(1)
    assert all(frame.contains(*corner) for box in boxes for corner in box.corners())


@pytest.mark.usefixtures("user_folder")
def test_the_command_draws_the_records_of_the_table(capsys):
    make_runs()
    assert main(["figure", "small.py", "--cost", "parameters"]) == 0
    paths = capsys.readouterr().out.split()
    assert paths == [f"runs/reports/small-cost.{suffix}" for suffix in ("png", "pdf", "svg")]
    drawn = Path(paths[0]).read_bytes()
    save_committed(Path("results/small.jsonl"), load_runs(Path("runs")))
    assert main(["figure", "small.py", "--cost", "parameters", "--metric", "test/exact", "--runs", "elsewhere"]) == 0
    assert Path("elsewhere/reports/small-cost.png").read_bytes() == drawn


@pytest.mark.usefixtures("user_folder")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--metric", "test/exact"], "--metric needs --cost"),
        (["--cost", "ms"], "no row has both test/exact and ms"),
    ],
)
def test_arguments_without_effect_are_rejected(arguments, message, capsys):
    make_runs()
    assert main(["figure", "small.py", *arguments]) == 2
    assert message in capsys.readouterr().err
