"""Figures of lines with bands, dev curves of records, and `figure --curves`."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from fake_runs import make_runs
from hypothesis import given
from hypothesis import strategies as st
from known_records import first, record, split
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from user_folder import user_folder  # noqa: F401 (a fixture)

from attn_research import storage
from attn_research.cli import main
from attn_research.reports import curves, figures, panels
from attn_research.reports.curves import COLORS, SHAPES, draw_dev_curves, draw_lines
from attn_research.reports.dev_curves import DevCurve
from attn_research.reports.panels import Line, Panel

DEV = {"step": [500, 1000, 1500], "exact": [0.1, None, 0.9], "loss": [2.0, 1.0, 0.5]}


@pytest.fixture
def drawn(monkeypatch):
    """The figures that a test draws, instead of their files."""
    result: list[Figure] = []
    monkeypatch.setattr(curves, "save", lambda figure, path, suffixes: result.append(figure) or [])
    return result


def panel(*labels, title="", **options):
    lines = [Line(label, [1, 2], [number, number + 1]) for number, label in enumerate(labels)]
    return Panel(title, "x", "y", lines, **options)


def legend_of(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def run(seed=0, task="dates", dev=DEV):
    result = record(seed=seed, test=split(first(50)))
    return result | {"config": result["config"] | {"data.task": task}} | ({"dev": dev} if dev else {})


def test_lines_are_reproducible_files(tmp_path):
    panels = [panel("dot", "위치", "my_scores.py:cosine(scale=True)"), panel("$x_1$", log_x=True)]
    one, again = (draw_lines(panels, tmp_path / name, "a caption") for name in ("deep/one", "one.png"))
    assert [path.name for path in one + again] == ["one.png", "one.pdf", "one.svg"] * 2
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in again]


def fail(*_):
    raise OSError


def test_a_figure_replaces_a_file_only_when_it_is_complete(tmp_path, monkeypatch):
    png, *_ = draw_lines([panel("dot")], tmp_path / "one")
    old = png.read_bytes()
    monkeypatch.setattr(storage.os, "fsync", fail)
    with pytest.raises(OSError, match=r"one\.png"):
        draw_lines([panel("general")], tmp_path / "one")
    assert png.read_bytes() == old and not list(tmp_path.glob(".*"))


def test_no_lines_are_an_error(tmp_path):
    with pytest.raises(ValueError, match="no lines"):
        draw_lines([panel()], tmp_path / "one")


def test_a_label_has_one_style_in_all_panels_and_35_labels_have_different_ones(drawn):
    labels = [f"row {number}" for number in range(len(COLORS) * len(SHAPES))]
    draw_lines([panel(*labels), panel(*reversed(labels))], "x")
    axes = drawn[0].axes[:2]
    styles = [
        {line.get_label(): (line.get_color(), line.get_marker(), str(line.get_linestyle())) for line in one.lines}
        for one in axes
    ]
    by_y = [[(line.get_color(), line.get_marker()) for line in one.lines] for one in axes]
    assert len(set(by_y[0])) == len(labels) and by_y[0] == by_y[1][::-1] and len(styles[0]) == len(labels)


@pytest.mark.parametrize(("rows", "panels", "width"), [(1, 1, 1), (15, 2, 20), (16, 1, 40), (61, 3, 9)])
def test_the_legend_lists_every_row_once_and_fits_beside_the_panels(rows, panels, width, drawn):
    labels = [f"{number}".zfill(width) for number in range(rows)]
    draw_lines([panel(*labels)] * panels, "x", "a caption")
    (figure,) = drawn
    FigureCanvasAgg(figure).draw()
    assert sorted(legend_of(figure)) == sorted(labels)
    legend, page = figure.legends[0].get_window_extent(), figure.bbox
    assert page.x0 <= legend.x0 and legend.x1 <= page.x1 + 1 and page.y0 <= legend.y0 and legend.y1 <= page.y1 + 1
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    assert all(box.x1 <= legend.x0 + 1 and box.width > 200 for box in boxes)
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


def test_the_legend_has_the_order_of_the_lines_ends(drawn):
    lines = [Line("low", [1, 2], [9, 1]), Line("gap", [1, 2], [5, np.nan]), Line("high", [1, 2], [0, 8])]
    draw_lines([Panel("", "x", "y", [*lines, Line("none", [1], [np.nan])])], "x")
    assert legend_of(drawn[0]) == ["high", "gap", "low", "none"]


@given(st.lists(st.lists(st.floats(0, 1) | st.just(np.nan), min_size=1, max_size=5), min_size=1, max_size=4))
def test_a_line_is_the_mean_over_seeds_at_the_steps_that_all_have(seeds):
    own = [DevCurve(np.arange(len(values)) * 500 + 500, np.array(values)) for values in seeds]
    line = panels._mean_line("dot", own, 100)
    shortest = min(map(len, seeds))
    values = 100 * np.array([values[:shortest] for values in seeds])
    np.testing.assert_array_equal(line.x, np.arange(shortest) * 500 + 500)
    np.testing.assert_allclose(line.y, values.mean(0))
    if len(seeds) > 1:
        inside = np.isfinite(line.y)
        assert (line.low <= line.y + 1e-9)[inside].all() and (line.y <= line.high + 1e-9)[inside].all()
        assert (np.isnan(line.low) == np.isnan(line.y)).all()
    else:
        assert line.low is None


def test_dev_curves_have_a_panel_per_task_and_leave_out_diverged_runs(drawn):
    rows = {
        "dot": [run(0), run(1), run(0, "reverse"), run(1, "reverse") | {"status": "diverged", "splits": {}}],
        "old": [run(0, dev=None)],
    }
    draw_dev_curves(rows, "exact", "x")
    dates, reverse = drawn[0].axes
    assert [axes.get_title() for axes in (dates, reverse)] == ["dates", "reverse"]
    assert dates.get_ylabel() == "dev exact match, % ↑" and dates.get_xlabel() == "training steps"
    np.testing.assert_allclose(dates.lines[0].get_ydata(), [10, np.nan, 90])
    assert len(dates.collections) == 1 and not reverse.collections and legend_of(drawn[0]) == ["dot"]
    assert drawn[0].get_supxlabel() == "mean over 1 to 2 seeds   ·   band: minimum to maximum"
    draw_dev_curves({"dot": [run(0)]}, "loss", "x")
    assert drawn[1].axes[0].get_title() == "" and drawn[1].get_supxlabel() == "one seed"


def test_the_caption_says_where_lines_end_if_a_seed_stops_early(drawn):
    shorter = {name: values[:2] for name, values in DEV.items()}
    draw_dev_curves({"dot": [run(0), run(1, dev=shorter)]}, "loss", "x")
    assert drawn[0].get_supxlabel().endswith("lines end where the first seed stops")
    assert drawn[0].axes[0].lines[0].get_xdata().tolist() == [500, 1000]


@pytest.mark.parametrize(
    ("rows", "metric", "message"),
    [
        ({"dot": [run()]}, "exat", "no record has the dev metric 'exat'; known: .*did you mean exact"),
        ({"dot": [run()]}, "wer", "no record has the dev metric 'wer'; known: exact, loss"),
        ({"dot": [run(dev=None)]}, "exact", "no record has a dev curve; `attn-research sweep --fresh`"),
        ({"dot": [run(), run()]}, "exact", "row 'dot' has more than one record of seed 0"),
    ],
)
def test_curves_that_cannot_be_drawn_are_one_sentence(rows, metric, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        draw_dev_curves(rows, metric, tmp_path / "x")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("user_folder")
def test_figure_draws_the_curves_of_the_records_that_table_shows(capsys):
    make_runs(dev=DEV)
    assert main(["figure", "small.py", "--curves"]) == 0
    names = [f"runs/reports/small-curves.{suffix}\n" for suffix in ("png", "pdf", "svg")]
    assert capsys.readouterr() == ("".join(names), "")
    loss = Path("runs/reports/small-curves.png").read_bytes()
    assert main(["figure", "small.py", "--curves", "dev/exact"]) == 0
    assert Path("runs/reports/small-curves.png").read_bytes() != loss
    assert main(["figure", "small.py", "--curves", "loss"]) == 0
    assert Path("runs/reports/small-curves.png").read_bytes() == loss  # the metric of train.select
    assert main(["table", "small.py", "--save"]) == 0
    capsys.readouterr()
    assert main(["figure", "small.py", "--curves", "loss", "--runs", "elsewhere", "--add", "seed=7"]) == 0
    assert "`dot` has no record of seed 7 yet." in capsys.readouterr().err
    assert Path("elsewhere/reports/small-curves.png").read_bytes() == loss


@pytest.mark.usefixtures("user_folder")
def test_figure_says_in_one_sentence_why_it_draws_no_curves(capsys):
    assert main(["figure", "small.py", "--curves"]) == 2
    assert "no run of small is finished" in capsys.readouterr().err
    make_runs(dev=None)
    assert main(["figure", "small.py", "--curves"]) == 2
    assert "no record has a dev curve" in capsys.readouterr().err
    make_runs(dev=DEV)
    assert main(["figure", "small.py", "--curves", "wer"]) == 2
    assert "no record has the dev metric 'wer'; known: exact, loss" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["figure", "small.py", "--curves", "loss", "--item", "1"])
    assert "not allowed with argument --curves" in capsys.readouterr().err


def test_maps_and_curves_are_saved_by_one_function():
    assert curves.save is figures.save
